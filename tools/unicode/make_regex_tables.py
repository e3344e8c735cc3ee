"""Writes src/tokenizer/regex_tables.cc: code points that are newer than PCRE2's tables.

The reference's Oniguruma has Unicode 16.0, PCRE2 10.42 has 14.0 (as Python 3.11's unicodedata).

  pip install regex==2024.11.6 unicodedata2==16.0.0
  python3.11 tools/unicode/make_regex_tables.py src/tokenizer/regex_tables.cc
"""
import sys
import unicodedata

import regex
import unicodedata2

SCRIPTS = ("Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai Devanagari Bengali Tamil Telugu Kannada "
           "Malayalam Gujarati Gurmukhi Lao Tibetan Myanmar Khmer Mongolian Georgian Armenian Ethiopic Sinhala "
           "Common Inherited").split()


def row(code_point):
    c = chr(code_point)
    script = next((s for s in SCRIPTS if regex.match(rf"\p{{Script={s}}}", c)), "")
    flags = "".join(name[0] for name in ("Alphabetic", "Uppercase", "Lowercase") if regex.match(rf"\p{{{name}}}", c))
    return unicodedata2.category(c), script, flags


def nonspacing_marks():
    """All of them: a code point that has left the category can't be taken out of PCRE2's \\p{Mn}."""
    ranges = []
    for code_point in range(0x110000):
        if unicodedata2.category(chr(code_point)) != "Mn":
            continue
        if ranges and ranges[-1][1] == code_point - 1:
            ranges[-1][1] = code_point
        else:
            ranges.append([code_point, code_point])
    lines = [""]
    for begin, end in ranges:
        text = f"\\\\x{{{begin:x}}}" + (f"-\\\\x{{{end:x}}}" if end > begin else "")
        if len(lines[-1]) + len(text) > 90:
            lines.append("")
        lines[-1] += text
    return "\n".join(f'    "{line}"' for line in lines)


def main():
    assert unicodedata.unidata_version == "14.0.0" and unicodedata2.unidata_version == "16.0.0"
    rows = []
    for code_point in range(0x110000):
        c = chr(code_point)
        if unicodedata.category(c) == unicodedata2.category(c):
            continue
        new = row(code_point)
        if rows and rows[-1][1] == code_point - 1 and rows[-1][2] == new:
            rows[-1][1] = code_point
        else:
            rows.append([code_point, code_point, new])
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write('// Made by tools/unicode/make_regex_tables.py; do not edit.\n#include "tokenizer/regex_tables.h"\n\n'
                  "namespace tensormill {\nnamespace {\n\nconst NewCodePoints kData[] = {\n")
        for begin, end, (category, script, flags) in rows:
            out.write(f'    {{0x{begin:x}, 0x{end:x}, "{category}", "{script}", "{flags}"}},\n')
        out.write("};\n\n}  // namespace\n\nconst std::span<const NewCodePoints> kNewCodePoints(kData);\n\n"
                  f"const char* const kNonspacingMarks =\n{nonspacing_marks()};\n\n"
                  "}  // namespace tensormill\n")


if __name__ == "__main__":
    main()
