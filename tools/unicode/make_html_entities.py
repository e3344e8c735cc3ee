"""Writes src/tokenizer/jinja/html_entities.cc: the character references of HTML 5, as Python's html.entities has them.

    make_html_entities.py > src/tokenizer/jinja/html_entities.cc
"""
from html.entities import html5

HEAD = '''// Made by tools/unicode/make_html_entities.py; not edited by hand.
#include "tokenizer/jinja/html_entities.h"

namespace tensormill::jinja {

const char* const kHtmlEntities =
'''
WIDTH = 96


def words():
    for name, text in sorted(html5.items()):
        if not name.endswith(";"):
            continue
        bare = name[:-1]
        assert html5.get(bare, text) == text and len(text) <= 2
        yield bare + ("!" if bare in html5 else "=") + "+".join(f"{ord(c):X}" for c in text) + " "


def main():
    lines, line = [], ""
    for word in words():
        if len(line) + len(word) > WIDTH - 6:
            lines.append(line)
            line = ""
        line += word
    lines.append(line)
    print(HEAD + "\n".join(f'    "{line}"' for line in lines) + ";\n\n}  // namespace tensormill::jinja")


if __name__ == "__main__":
    main()
