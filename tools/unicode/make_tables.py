"""Writes src/tokenizer/unicode_tables.cc: what the reference takes each code point to be.

The reference has several Unicode versions inside (its normalization forms are older than its
categories of digits, and those newer than its punctuation), so it is asked for every code point.
Grapheme classes, which it doesn't show, are those of Unicode 16.0 (package regex); the result is
compared with the reference in tools/golden/tokenizer/compare_code_points.py.

  pip install tokenizers==0.22.2 regex==2024.11.6
  python3 tools/unicode/make_tables.py src/tokenizer/unicode_tables.cc
"""
import sys

import regex
from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
# In the order of the bits of CodePointFlag in unicode_tables.h.
FLAGS = ("number", "punctuation", "mark", "nonspacing", "other", "word", "decomposes")
GRAPHEME_CLASSES = (  # in the order of GraphemeClass in unicode_tables.h
    r"\p{GCB=CR}", r"\p{GCB=LF}", r"\p{GCB=Control}", r"\p{GCB=ZWJ}", r"\p{InCB=Linker}",
    r"\p{InCB=Extend}", r"\p{GCB=Extend}", r"\p{GCB=Regional_Indicator}", r"\p{GCB=Prepend}",
    r"\p{GCB=SpacingMark}", r"\p{GCB=L}", r"\p{GCB=V}", r"\p{GCB=T}", r"\p{GCB=LV}", r"\p{GCB=LVT}",
    r"\p{InCB=Consonant}", r"\p{Extended_Pictographic}")


def flag_tests():
    def bert(**flags):
        options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
        return normalizers.BertNormalizer(**dict(options, **flags)).normalize_str

    digits = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str
    punctuation = pre_tokenizers.Punctuation().pre_tokenize_str
    words = pre_tokenizers.Whitespace().pre_tokenize_str
    marks = normalizers.StripAccents().normalize_str
    compatible = normalizers.NFKD().normalize_str
    clean, strip = bert(clean_text=True), bert(strip_accents=True)
    return {
        "number": lambda c: len(digits("a" + c)) == 2,
        "punctuation": lambda c: len(punctuation("a" + c)) == 2,
        "mark": lambda c: marks(c) == "",
        "nonspacing": lambda c: strip(c) == "",
        "other": lambda c: clean(c) == "",
        "word": lambda c: len(words("a" + c)) == 1 and words("a" + c)[0][0] == "a" + c,
        "decomposes": lambda c: compatible(c) != c,
    }


def runs(values):
    """[value of each code point] -> [length, value, length, value, ...]; surrogates continue."""
    result = []
    previous, length = values[0], 0
    for code_point in range(0x110000):
        value = values.get(code_point, previous)
        if value != previous:
            result += [length, previous]
            previous, length = value, 0
        length += 1
    return result + [length, previous]


def lower_runs():
    """[gap to the last run's end, count, step, difference, ...] of letters with a lower case."""
    lower = normalizers.Lowercase().normalize_str
    pairs = [(c, lower(chr(c))) for c in CODE_POINTS if lower(chr(c)) != chr(c)]
    assert [c for c, text in pairs if len(text) != 1] == [0x130]
    pairs = [(c, ord(text)) for c, text in pairs if c != 0x130]
    result, end, i = [], 0, 0
    while i < len(pairs):
        first, difference = pairs[i][0], pairs[i][1] - pairs[i][0]
        step = 1
        if i + 1 < len(pairs) and pairs[i + 1][0] - first == 2 and pairs[i + 1][1] - pairs[i + 1][0] == difference:
            step = 2
        count = 1
        while i + count < len(pairs) and pairs[i + count] == (first + count * step, first + count * step + difference):
            count += 1
        result += [first - end, count, step, difference]
        end = first + (count - 1) * step
        i += count
    return result


def scripts():
    """Classes that UnicodeScripts tells apart; 0 is what joins any."""
    split = pre_tokenizers.UnicodeScripts().pre_tokenize_str
    values = {c: 0 for c in CODE_POINTS}
    others = [c for c in CODE_POINTS if split(chr(c))]
    representatives = []
    position = 0
    for text, _ in split("".join(map(chr, others))):
        for number, known in enumerate(representatives):
            if len(split(known + text[0])) == 1:
                break
        else:
            number = len(representatives)
            representatives.append(text[0])
        for _ in text:
            values[others[position]] = number + 1
            position += 1
    assert position == len(others) and len(representatives) < 255
    return values


def grapheme_classes():
    patterns = [regex.compile(p) for p in GRAPHEME_CLASSES]

    def value(c):
        return next((i + 1 for i, p in enumerate(patterns) if p.match(c)), 0)

    return {c: value(chr(c)) for c in CODE_POINTS}


def flags():
    values = {c: 0 for c in CODE_POINTS}
    tests = flag_tests()
    for bit, name in enumerate(FLAGS):
        for c in CODE_POINTS:
            if tests[name](chr(c)):
                values[c] |= 1 << bit
    return values


def array(name, numbers):
    lines, line = [], "   "
    for number in numbers:
        if len(line) + len(str(number)) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {number},"
    lines.append(line)
    body = "\n".join(lines)
    return (f"const int32_t k{name}Data[] = {{\n{body}\n}};\n\n", f"const std::span<const int32_t> k{name}(k{name}Data);\n")


def main():
    tables = [array("FlagRuns", runs(flags())), array("GraphemeRuns", runs(grapheme_classes())),
              array("ScriptRuns", runs(scripts())), array("LowerRuns", lower_runs())]
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write('// Made by tools/unicode/make_tables.py; do not edit.\n#include "tokenizer/unicode_tables.h"\n\n'
                  "namespace tensormill {\nnamespace {\n\n// clang-format off\n")
        out.write("".join(data for data, _ in tables))
        out.write("// clang-format on\n\n}  // namespace\n\n")
        out.write("".join(span for _, span in tables))
        out.write("\n}  // namespace tensormill\n")


if __name__ == "__main__":
    main()
