"""Writes src/tokenizer/slow/moses_tables.cc: the characters and abbreviations that sacremoses knows.

  pip install sacremoses==0.2.0
  python3 tools/unicode/make_moses_tables.py src/tokenizer/slow/moses_tables.cc
"""
import sys

from sacremoses.corpus import Perluniprops
from sacremoses.tokenize import MosesTokenizer

LANGUAGES = ("de", "en", "fr", "ru")
SETS = (MosesTokenizer.IsAlpha, MosesTokenizer.IsAlnum, MosesTokenizer.IsLower, MosesTokenizer.IsN,
        "".join(Perluniprops().chars("IsAlpha")), MosesTokenizer.IsSc)


def runs():
    flags = [0] * 0x110000
    for bit, characters in enumerate(SETS):
        for character in set(characters) - {"\n"}:  # the end of the list's last line
            flags[ord(character)] |= 1 << bit
    result = [[0, flags[0]]]
    for value in flags:
        if value == result[-1][1]:
            result[-1][0] += 1
        else:
            result.append([1, value])
    return [number for run in result[:-1] for number in run]


def filled(words, end, width=96):
    lines = [""]
    for word in words:
        if len((lines[-1] + word).encode()) + 5 + len(end) > width:
            lines.append("")
        lines[-1] += word
    return lines


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write('// Made by tools/unicode/make_moses_tables.py; do not edit.\n#include "tokenizer/slow/moses_tables.h"\n\n'
                  "namespace tensormill {\nnamespace {\n\n// clang-format off\nconst int32_t kRuns[] = {\n")
        for line in filled([f"{number}, " for number in runs()], ""):
            out.write(f"    {line.rstrip()}\n")
        out.write("};\n\nconst MosesLanguage kLanguages[] = {\n")
        for language in LANGUAGES:
            tokenizer = MosesTokenizer(lang=language)
            numeric = set(tokenizer.NUMERIC_ONLY_PREFIXES)
            plain = [word for word in tokenizer.NONBREAKING_PREFIXES if "#NUMERIC_ONLY#" not in word]
            out.write(f'    {{"{language}",\n')
            for line in filled([word + " " for word in dict.fromkeys(plain) if word not in numeric], '""'):
                out.write(f'     "{line}"\n')
            out.write(f'     , "{" ".join(sorted(numeric))}"}},\n')
        out.write("};\n// clang-format on\n\n}  // namespace\n\nconst std::span<const int32_t> kMosesRuns = kRuns;\n"
                  "const std::span<const MosesLanguage> kMosesLanguages = kLanguages;\n\n}  // namespace tensormill\n")


if __name__ == "__main__":
    main()
