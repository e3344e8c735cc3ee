"""Compares whole pipelines made at random with the tokenizers library: everything around the model.

    pipelines.py ANSWERS [--rounds N] [--seed S] [--dump FILE]

ANSWERS is the program of the target tokenizer_answers. Each round makes a tokenizer.json of random
normalizers, pre-tokenizers, added tokens, a small model, a post-processor and a truncation, and
texts and pairs in many scripts with odd spaces, marks, emoji and controls. Compared are ids, tokens,
offsets, type ids, word ids and the mask of special tokens, of overflowing pieces too. Prints each
mismatch and the counts; exits with 1 if there was one. Needs tokenizers==0.22.2 and sentencepiece.
"""
import argparse
import base64
import io
import json
import os
import random
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, pre_tokenizers

from differential import Counts, Program

FRAGMENTS = [
    "Hello", "world", "the", "The", "THE", "a", "b", "x", "I'm", "don't", "naïve", "Café", "cafe\u0301", "résumé",
    "ÀÉÎ", "A\u030a", "\u212b", "ß", "ẞ", "İ", "ı", "ǅ", "ﬁ", "ﬀ", "½", "²", "Ⅷ", "④", "１２", "ｱﾞ", "㍿", "㎏", "ſ", "K",
    "1", "12", "3.14", "٣", "१२", "中文", "分词", "日本語", "テキスト", "ーひらがな", "가나", "\u1100\u1161\u11a8", "각", "ไทย", "ภาษา",
    "Привет", "мир", "Ελλάδα", "ὈΔΥΣΣΕΎΣ", "עִבְרִית", "العربية", "نَصّ", "हिन्दी", "क्षि", "தமிழ்", "ༀབོད", "ᠮᠣ", "𐐀𐐨", "𝔘𝕟", "𝒜", "𠀀𪚥",
    "😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇺🇳", "🇺", "👍🏽", "❤️", "1️⃣", "©", "©\ufe0f", "®\u200d", "\u0301", "\u0316\u0301", "q\u0307\u0323", "\u0344", "\u0345",
    "\x00", "\x01", "\x07", "\x0b", "\x0c", "\x1f", "\x7f", "\x80", "\x85", "\x8f", "\x9f", "\xad", "\u0378", "\ue000", "\U0010ffff", "\uffff",
    "\ufffd", "\ufeff", "\u200b", "\u200c", "\u200d", "\u200e", "\u2028", "\u2029", "\u2060", "\u0600", "\u06dd", "\u180e", "\U000e0061",
    " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u1680", "\u2003", "\u202f", "\u3000", "▁", "▁▁", "Ġ", "Ċ",
    ".", ",", "!", "?!", "-", "--", "_", "'", "\"", "(", ")", "[", "]", "$", "+", "<", "=", ">", "^", "`", "|", "~", "#", "@", "…", "—", "“", "¿", "。", "、", "؟",
    "<s>", "</s>", "[CLS]", "[SEP]", "[MASK]", "<a>", "<a><b>", "foo", "Foo", "foo bar", "FOO", "é", " lead", "trail ", "##s", "<0x41>",
]
ADDED = ["<s>", "</s>", "[CLS]", "[SEP]", "[MASK]", "<a>", "<a><b>", "<b>", "foo", "Foo", "foo bar", "é", "e\u0301", "É", " lead", "trail ",
         "  ", "the", "\n", "1", "中", "▁", "!", "ﬁ", "\u0301x", "😀", "a"]
LETTERS = "abcdehlorstwxABTHE éeﬁ中文日語가12.,!?-'▁<>s/[]"


def flip(r, chance=0.5):
    return r.random() < chance


def charsmaps():
    """The rules that sentencepiece ships, and odd ones of our own."""
    own = [("61", "58"), ("62", ""), ("63", "79 7A 77"), ("20", ""), ("E9", "65"), ("31 32", "33"), ("4E2D", "6587 5B57"),
           ("301", ""), ("65 301", "45"), ("A9 FE0F", "63 29"), ("D A", "A"), ("20 20", "20"), ("1F600", "3A 29")]
    maps = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.tsv")
        with open(path, "w") as file:
            file.write("".join(f"{a}\t{b}\n" for a, b in own))
        for options in ({"normalization_rule_name": "nmt_nfkc"}, {"normalization_rule_name": "nmt_nfkc_cf"},
                        {"normalization_rule_name": "nfkc"}, {"normalization_rule_tsv": path}):
            out = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(["hello world a b c"] * 5), model_writer=out, vocab_size=14, model_type="bpe",
                hard_vocab_limit=False, minloglevel=3, **options)
            proto = sentencepiece_model_pb2.ModelProto.FromString(out.getvalue())
            maps.append(base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode())
    return maps


def pattern(r):
    if flip(r, 0.4):
        return {"String": r.choice([" ", "a", "é", "--", "▁", ".", "foo", "\n", "中"])}
    return {"Regex": r.choice([
        r"\s+", r"\s{2,}", r"\w+", r"\W", r"\d", r"[^\s]+", r"\p{L}+", r"\p{N}", r"\p{P}+", r"[\p{M}]", r"\p{Lu}\p{Ll}*", r"[a-zé]+",
        r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", r"\b", r"a*", r"(?<=a).",
        r"[\p{Han}\p{Hiragana}]+", r".", r"^.", r".$", r"\n", r"[[:alpha:]]+", r"[[:punct:]]", r"\p{Sm}|\p{Sc}", r"(?=[A-Z])", r"[^a-z\p{M}]"])}


def normalizer(r, maps, nested=True):
    kinds = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Nmt", "Replace", "Prepend", "Precompiled",
             "BertNormalizer", "ByteLevel"]
    kind = r.choice(kinds + ["Sequence"] * 6 if nested else kinds)
    if kind == "Strip":
        return {"type": kind, "strip_left": flip(r), "strip_right": flip(r)}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(r), "content": r.choice(["", " ", "▁", "-", "ab", "é中", "\n"])}
    if kind == "Prepend":
        return {"type": kind, "prepend": r.choice(["▁", " ", "ab", "é"])}
    if kind == "Precompiled":
        return {"type": kind, "precompiled_charsmap": r.choice(maps)}
    if kind == "BertNormalizer":
        return {"type": kind, "clean_text": flip(r), "handle_chinese_chars": flip(r),
                "strip_accents": r.choice([None, True, False]), "lowercase": flip(r)}
    if kind == "Sequence":
        return {"type": kind, "normalizers": [normalizer(r, maps, False) for _ in range(r.randint(0, 4))]}
    return {"type": kind}


def pre_tokenizer(r, nested=True):
    kinds = ["ByteLevel", "BertPreTokenizer", "Metaspace", "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits",
             "CharDelimiterSplit", "Split", "Split", "UnicodeScripts", "FixedLength"]
    kind = r.choice(kinds + ["Sequence"] * 6 if nested else kinds)
    behavior = r.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": flip(r), "trim_offsets": flip(r), "use_regex": flip(r, 0.7)}
    if kind == "Metaspace":
        scheme = r.choice(["first", "never", "always"])
        result = {"type": kind, "replacement": r.choice(["▁", "▁", "▁", "_", "é"]), "prepend_scheme": scheme, "split": flip(r, 0.7)}
        if flip(r, 0.2):
            result.update(add_prefix_space=scheme != "never", str_rep="▁")
        if flip(r, 0.2):
            del result["split"]
        return result
    if kind == "Punctuation":
        return {"type": kind, "behavior": behavior} if flip(r, 0.9) else {"type": kind}
    if kind == "Digits":
        return {"type": kind, "individual_digits": flip(r)}
    if kind == "CharDelimiterSplit":
        return {"type": kind, "delimiter": r.choice([" ", "a", "é", "-", "中"])}
    if kind == "Split":
        return {"type": kind, "pattern": pattern(r), "behavior": behavior, "invert": flip(r)}
    if kind == "FixedLength":
        return {"type": kind, "length": r.choice([1, 2, 3, 5])}
    if kind == "Sequence":
        return {"type": kind, "pretokenizers": [pre_tokenizer(r, False) for _ in range(r.randint(0, 3))]}
    return {"type": kind}


def model(r, byte_level):
    kind = r.choice(["bytes", "bytes", "characters", "words", "pieces", "unigram"])
    texts = list(dict.fromkeys(["<unk>"] + list(LETTERS) + r.sample(FRAGMENTS, 25)))
    if byte_level:
        texts = list(dict.fromkeys(texts + sorted(pre_tokenizers.ByteLevel.alphabet())))
    if kind == "bytes":
        texts = list(dict.fromkeys(["<unk>"] + [f"<0x{b:02X}>" for b in range(256)] + texts[1:]))
    if kind == "pieces":
        texts += ["##" + t for t in texts[1:]]
    vocab = {text: i for i, text in enumerate(texts)}
    if kind == "words":
        return {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    if kind == "pieces":
        return {"type": "WordPiece", "vocab": vocab, "unk_token": "<unk>", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100}
    if kind == "unigram":
        return {"type": "Unigram", "unk_id": 0, "vocab": [[t, -len(t) / 7 - i % 5] for i, t in enumerate(texts)],
                "byte_fallback": False}
    merges = []
    for left, right in (("t", "h"), ("th", "e"), ("a", "b"), ("l", "l"), ("1", "2"), ("▁", "a"), ("s", "t")):
        vocab.setdefault(left + right, len(vocab))
        merges.append([left, right])
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": flip(r), "byte_fallback": kind == "bytes", "ignore_merges": flip(r), "vocab": vocab, "merges": merges}


def processor(r, nested=True):
    kinds = ["BertProcessing", "RobertaProcessing", "ByteLevel", "TemplateProcessing", "TemplateProcessing"]
    kind = r.choice(kinds + ["Sequence"] * 2 if nested else kinds)
    trim = {"trim_offsets": flip(r), "add_prefix_space": flip(r)}
    if kind == "BertProcessing":
        return {"type": kind, "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    if kind == "RobertaProcessing":
        return dict({"type": kind, "sep": ["</s>", 3], "cls": ["<s>", 2]}, **trim)
    if kind == "ByteLevel":
        return dict({"type": kind, "use_regex": True}, **trim)
    if kind == "Sequence":
        return {"type": kind, "processors": r.choice([[processor(r, False)], [dict({"type": "ByteLevel", "use_regex": True}, **trim), processor(r, False)]])}
    special = lambda: {"SpecialToken": {"id": r.choice(["[CLS]", "[SEP]", "many"]), "type_id": r.choice([0, 0, 1, 2])}}
    text = lambda name: {"Sequence": {"id": name, "type_id": r.choice([0, 0, 1, 3])}}
    some = lambda: [special() for _ in range(r.choice([0, 1, 1, 2]))]
    return {"type": kind, "single": some() + [text("A")] + some(),
            "pair": some() + [text("A")] + some() + [text("B")] + some() if flip(r, 0.8) else some() + [text("B")] + some() + [text("A")],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
                               "many": {"id": "many", "ids": [4, 5], "tokens": ["[FOUR]", "[FIVE]"]}}}


def has_byte_level(value):
    return "ByteLevel" in json.dumps(value)


def tokenizer_json(r, maps):
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
             "normalizer": normalizer(r, maps) if flip(r, 0.8) else None,
             "pre_tokenizer": pre_tokenizer(r) if flip(r, 0.8) else None,
             "post_processor": processor(r) if flip(r, 0.7) else None, "decoder": None}
    whole["model"] = model(r, has_byte_level(whole["normalizer"]) or has_byte_level(whole["pre_tokenizer"]))
    if flip(r, 0.3):
        whole["truncation"] = {"direction": r.choice(["Left", "Right"]), "max_length": r.choice([0, 1, 3, 5, 6, 8, 12, 20]),
                               "strategy": r.choice(["LongestFirst", "LongestFirst", "OnlyFirst", "OnlySecond"]),
                               "stride": r.choice([0, 0, 1, 2, 4])}
    if flip(r, 0.1):
        whole["padding"] = {"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                            "pad_type_id": 0, "pad_token": "<unk>"}
    for content in r.sample(ADDED, r.choice([0, 0, 1, 3, 8])):
        whole["added_tokens"].append(
            {"id": 0, "content": content, "single_word": flip(r, 0.3), "lstrip": flip(r, 0.3), "rstrip": flip(r, 0.3),
             "normalized": flip(r), "special": flip(r, 0.3)})
    return whole


def random_text(r, whole):
    pieces = FRAGMENTS + [t["content"] for t in whole["added_tokens"]] * 5
    chance = r.choice([0, 0.03, 0.3])
    count = r.choice([0, 1, 2, 5, 12, 30])
    text = ""
    for _ in range(count):
        text += chr(r.choice([r.randrange(0xd800), r.randrange(0xe000, 0x20000), r.randrange(0x3000)])) if r.random() < chance \
            else r.choice(pieces)
        text += r.choice(["", "", " "])
    return text


def all_of(encoding, whole=True):
    """Pieces of a pair have pieces again in the library, which nothing shows."""
    return {"ids": encoding.ids, "type_ids": encoding.type_ids, "tokens": encoding.tokens,
            "offsets": [list(o) for o in encoding.offsets], "words": [-1 if w is None else w for w in encoding.word_ids],
            "special": encoding.special_tokens_mask, "overflowing": [all_of(piece, False) for piece in encoding.overflowing if whole]}


def reference(tokenizer, text, pair, special):
    try:
        return all_of(tokenizer.encode(text, pair, add_special_tokens=special))
    except BaseException as error:  # panics are no Exceptions
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"error": str(error), "panic": not isinstance(error, Exception)}


def without_sequences(answer):
    answer.pop("sequences", None)
    for piece in answer.get("overflowing", []):
        without_sequences(piece)
    return answer


def write(folder, whole):
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(whole, file)
    # transformers sets the prefix space of a ByteLevel that stands alone from here.
    prefix_space = (whole["pre_tokenizer"] or {}).get("add_prefix_space", False)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": prefix_space}, file)


def compare(program, counts, folder, r, whole):
    write(folder, whole)
    loaded = program.ask({"load": folder})
    counts.tokenizers += 1
    try:
        tokenizer = Tokenizer.from_str(json.dumps(whole))
    except BaseException as error:
        counts.compare("load", {"error": str(error)}, loaded, [whole])
        return
    if "error" in loaded:
        counts.compare("load", {"ok": True}, loaded, [whole])
        return
    tokenizer.no_padding()
    truncation = whole["truncation"]
    for i in range(8):
        text, special = random_text(r, whole), flip(r, 0.8)
        request = {"encode": text, "special": special, "truncate": True}
        pair = random_text(r, whole) if i % 2 else None
        if pair is not None:
            request["pair"] = pair
        added = tokenizer.num_special_tokens_to_add(pair is not None) if special else 0
        if truncation and truncation["max_length"] < added:
            continue  # an error here, no limit at all there
        expected = reference(tokenizer, text, pair, special)
        counts.compare("text", expected, without_sequences(program.ask(request)), [whole, text, pair, special])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("answers")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dump", help="a file for each mismatch with its whole tokenizer")
    options = parser.parse_args()
    program, counts, r = Program(options.answers), Counts(options.dump), random.Random(options.seed)
    maps = charsmaps()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            compare(program, counts, folder, r, tokenizer_json(r, maps))
    counts.report()
    sys.exit(counts.mismatches > 0)


if __name__ == "__main__":
    main()
