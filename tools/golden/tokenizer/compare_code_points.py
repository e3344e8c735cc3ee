"""Compares what each stage makes of each code point with the tokenizers library.

    compare_code_points.py ANSWERS [--stage NAME]

ANSWERS is the program of the target tokenizer_answers. Every code point U+0000 to U+10FFFF but the
surrogates stands behind an ASCII letter, and before one. Compared are ids (the bytes of the text),
offsets and words. Prints the mismatches of each stage; exits with 1 if there was one. Needs
tokenizers==0.22.2 and sentencepiece.
"""
import argparse
import json
import sys
import tempfile

from tokenizers import Tokenizer

import pipelines
from differential import Program

CHUNK = 1024
CATEGORIES = ("L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf Co "
              "Han Hiragana Katakana Hangul Latin Cyrillic Arabic Thai Common Alphabetic Emoji").split()


def stages():
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"):
        yield name, {"normalizer": {"type": name}}
    for flag in ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"):
        flags = {f: f == flag for f in ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")}
        yield flag, {"normalizer": dict({"type": "BertNormalizer"}, **flags)}
    yield "Strip", {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}}
    for i, charsmap in enumerate(pipelines.charsmaps()):
        yield f"Precompiled{i}", {"normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap}}
    for name in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts"):
        yield name, {"pre_tokenizer": {"type": name}}
    yield "Punctuation", {"pre_tokenizer": {"type": "Punctuation", "behavior": "Isolated"}}
    yield "Digits", {"pre_tokenizer": {"type": "Digits", "individual_digits": True}}
    yield "single_word", {"added_tokens": [{"id": 0, "content": "a", "single_word": True, "lstrip": False, "rstrip": False,
                                            "normalized": False, "special": False}]}
    yield "lstrip", {"added_tokens": [{"id": 0, "content": "b", "single_word": False, "lstrip": True, "rstrip": False,
                                       "normalized": False, "special": False}]}
    posix = "alpha upper lower alnum digit space blank cntrl punct graph print word xdigit".split()
    for regex in [r"\w", r"[\w]", r"\W", r"\s", r"\d", r"\b", r"(?i:[a-z])"] + [rf"\p{{{c}}}" for c in CATEGORIES] + \
            [f"[[:{p}:]]" for p in posix]:
        yield regex, {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}}


def texts():
    code_points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for i in range(0, len(code_points), CHUNK):
        yield "".join(f"a{chr(c)}b" for c in code_points[i:i + CHUNK])


def different(expected, got):
    """Code points of the text where the answers differ: the offsets of tokens that only one side has."""
    rows = [set(zip(map(tuple, answer["offsets"]), answer["ids"])) for answer in (expected, got)]
    return sorted({begin for (begin, _), _ in rows[0] ^ rows[1]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("answers")
    parser.add_argument("--stage")
    options = parser.parse_args()
    program, total = Program(options.answers), 0
    model = {"type": "BPE", "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
             "byte_fallback": True, "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, parts in stages():
            if options.stage not in (None, name):
                continue
            whole = dict({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                          "post_processor": None, "decoder": None, "model": model}, **parts)
            pipelines.write(folder, whole)
            loaded = program.ask({"load": folder})
            tokenizer = Tokenizer.from_str(json.dumps(whole))
            count, shown = 0, []
            for text in texts() if "error" not in loaded else []:
                expected = pipelines.reference(tokenizer, text, None, True)
                got = program.ask({"encode": text})
                if expected["ids"] != got["ids"] or expected["offsets"] != got["offsets"] or expected["words"] != got["words"]:
                    count += 1
                    shown += [f"U+{ord(text[i]):04X}" for i in different(expected, got)[:5]]
            total += count + ("error" in loaded)
            print(name, loaded.get("error", f"{count} of {-(-1112064 // CHUNK)} texts differ"), *shown[:10], flush=True)
    sys.exit(total > 0)


if __name__ == "__main__":
    main()
