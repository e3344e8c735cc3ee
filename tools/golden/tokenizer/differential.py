"""Compares models and decoders with the tokenizers library on tokenizers made at random.

    differential.py ANSWERS [--rounds N] [--seed S] [--kind BPE]
    differential.py ANSWERS --real FOLDER [--texts FILE ...]

ANSWERS is the program of the target tokenizer_answers. Each round makes a small tokenizer.json, and
texts and ids that its vocabulary knows more or less well, and compares ids, offsets, decoded and
streamed text. --real compares the tokenizer.json of each folder in FOLDER on the texts of corpus.py, on strange
ones, and on the lines of each FILE. Prints each mismatch and the counts; exits with 1 if there was one.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer, pre_tokenizers

from corpus import corpus

ALPHABET = list("aabbcde ") + ["▁", "é", "ß", "中", "😀", "e\u0301", "\n", "\u00a0", "'", ".", ","]
STRANGE = ["\x00", "\x7f", "\u200d", "\ufffd", "\U0010ffff", "x", "Z", "7", "ı", "\t", "  ", "ﬁ", "क्षि", "##", "Ġ",
           "<unk>", "[UNK]", "<0x41>", " do not", " n't", " .", "</w>", "|"]


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        encoding="utf-8")

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the program ended on {request!r}")
        return json.loads(line)


def vocabulary_texts(r):
    """Tokens over the alphabet, some of them made of others."""
    texts = [c for c in sorted(set(ALPHABET)) if r.random() < 0.8]
    for _ in range(r.randint(0, 40)):
        parts = [r.choice(texts) if texts and r.random() < 0.8 else r.choice(ALPHABET)
                 for _ in range(r.randint(1, 4))]
        texts.append("".join(parts))
    if r.random() < 0.3:
        texts += r.sample(STRANGE, 3)
    if r.random() < 0.1:
        texts.append("")
    return list(dict.fromkeys(texts))


def byte_tokens(r):
    tokens = [f"<0x{b:02X}>" for b in range(256)]
    return tokens if r.random() < 0.7 else [t for t in tokens if r.random() < 0.5]


def with_ids(r, texts):
    r.shuffle(texts)
    next_id, ids = 0, {}
    for text in texts:
        next_id += 1 if r.random() < 0.95 else r.randint(2, 5)
        ids[text] = next_id - 1
    return ids


def bpe(r):
    texts = vocabulary_texts(r)
    prefix = r.choice([None, None, None, "", "##", "a"])
    suffix = r.choice([None, None, None, "", "</w>"])
    if prefix:
        texts += [prefix + t for t in texts if r.random() < 0.7]
    if suffix:
        texts += [t + suffix for t in texts if r.random() < 0.7]
    texts = list(dict.fromkeys(t for t in texts if t))
    merges = []
    for _ in range(r.randint(0, 60)):
        left, right = r.choice(texts), r.choice(texts)
        if prefix and len(right.encode()) < len(prefix):
            continue
        cut = right.encode()[len((prefix or "").encode()):]
        try:
            texts.append(left + cut.decode())
        except UnicodeDecodeError:
            continue
        merges.append((left, right))
    texts = list(dict.fromkeys(texts))
    model = {"type": "BPE", "dropout": None, "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix,
             "fuse_unk": r.random() < 0.5, "byte_fallback": r.random() < 0.4, "ignore_merges": r.random() < 0.3}
    model["unk_token"] = r.choice([None, "<unk>", "<unk>", "<unk>", "<none>"])
    texts += byte_tokens(r) if model["byte_fallback"] else []
    texts += ["<unk>"] if r.random() < 0.9 else []
    model["vocab"] = with_ids(r, list(dict.fromkeys(texts)))
    as_text = r.random() < 0.5 and not any(" " in a + b for a, b in merges)
    model["merges"] = [f"{a} {b}" for a, b in merges] if as_text else [list(m) for m in merges]
    return model


def word_piece(r):
    texts = vocabulary_texts(r)
    prefix = r.choice(["##", "##", "", "a", "▁"])
    texts += [prefix + t for t in texts if r.random() < 0.7]
    unk = r.choice(["[UNK]", "[UNK]", "a", "<none>"])
    texts += ["[UNK]"] if r.random() < 0.9 else []
    return {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": r.choice([100, 100, 5, 0]), "vocab": with_ids(r, list(dict.fromkeys(texts)))}


def word_level(r):
    texts = vocabulary_texts(r)
    texts += ["<unk>"] if r.random() < 0.8 else []
    return {"type": "WordLevel", "unk_token": r.choice(["<unk>", "<unk>", "<none>"]),
            "vocab": with_ids(r, list(dict.fromkeys(texts)))}


def unigram(r):
    texts = vocabulary_texts(r)
    fallback = r.random() < 0.4
    texts += byte_tokens(r) if fallback else []
    texts += ["<unk>"] if r.random() < 0.9 else []
    if r.random() < 0.3:
        texts += [r.choice(texts)]
    r.shuffle(texts)
    # Few different scores, so that ways through a word cost the same.
    scores = r.choice([[0, -1, -2], [0.0], [-1.5, -2.25, -3.125, -20], [r.uniform(-15, 0) for _ in range(50)], [3, -3]])
    vocab = [[t, r.choice(scores)] for t in texts]
    unk = r.choice([None, r.randrange(len(vocab)), texts.index("<unk>") if "<unk>" in texts else 0,
                    texts.index("<unk>") if "<unk>" in texts else 0])
    model = {"type": "Unigram", "unk_id": unk, "vocab": vocab, "byte_fallback": fallback}
    if not fallback and r.random() < 0.3:
        del model["byte_fallback"]
    return model


MODELS = {"BPE": bpe, "WordPiece": word_piece, "WordLevel": word_level, "Unigram": unigram}


def decoder(r, nested=True):
    kinds = ["ByteLevel", "Replace", "WordPiece", "ByteFallback", "Fuse", "Strip", "Metaspace", "BPEDecoder", "CTC"]
    kind = r.choice(kinds + ["Sequence"] * 4 if nested else kinds)
    piece = lambda: r.choice(["a", " ", "b", "ab", "▁", "</w>", "##", "é", "中"])
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": r.random() < 0.5, "trim_offsets": True, "use_regex": True}
    if kind == "Replace":
        pattern = {"String": piece()} if r.random() < 0.6 else {"Regex": r.choice(["a+", "[ab]", "^ ", "b*", "(?=a)", ".$"])}
        return {"type": kind, "pattern": pattern, "content": r.choice(["", " ", "-", "a", "�"])}
    if kind == "WordPiece":
        return {"type": kind, "prefix": r.choice(["##", "", "a", "▁"]), "cleanup": r.random() < 0.5}
    if kind == "Strip":
        return {"type": kind, "content": r.choice([" ", "a", "▁", "é"]), "start": r.randint(0, 3), "stop": r.randint(0, 2)}
    if kind == "Metaspace":
        scheme = r.choice(["first", "never", "always"])
        return {"type": kind, "replacement": r.choice(["▁", "▁", "a", "中"]), "prepend_scheme": scheme, "split": True}
    if kind == "BPEDecoder":
        return {"type": kind, "suffix": r.choice(["</w>", "", "a", "b ", "▁"])}
    if kind == "CTC":
        return {"type": kind, "pad_token": r.choice(["<pad>", "a", "", "<unk>"]),
                "word_delimiter_token": r.choice(["|", "b", "", " "]), "cleanup": r.random() < 0.5}
    if kind == "Sequence":
        return {"type": kind, "decoders": [decoder(r, False) for _ in range(r.randint(0, 4))]}
    return {"type": kind}


def pre_tokenizer(r):
    return r.choice([
        None, None, {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": r.choice(["first", "never", "always"]),
         "split": r.random() < 0.7},
        {"type": "ByteLevel", "add_prefix_space": r.random() < 0.5, "trim_offsets": True, "use_regex": r.random() < 0.7},
    ])


def tokenizer_json(r, kind):
    splitter = pre_tokenizer(r)
    model = MODELS[kind](r)
    if kind != "Unigram" and (splitter or {}).get("type") == "ByteLevel" and r.random() < 0.6:
        for character in pre_tokenizers.ByteLevel.alphabet():
            model["vocab"].setdefault(character, max(model["vocab"].values(), default=-1) + 1)
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
             "pre_tokenizer": splitter, "post_processor": None,
             "decoder": decoder(r) if r.random() < 0.9 else None, "model": model}
    if r.random() < 0.15:
        model.pop("type")
    ids = sorted(model["vocab"].values()) if isinstance(model["vocab"], dict) else []
    for content in r.sample(["<s>", "[UNK]", "<unk>", "<pad>", "a"], r.choice([0, 0, 1, 2])):
        if ids != list(range(len(ids))):
            break  # new tokens among ids with gaps are added_tokens' business
        known = model["vocab"].get(content) if isinstance(model["vocab"], dict) else None
        whole["added_tokens"].append({
            "id": 1000 if known is None else known, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": r.random() < 0.7})
    return whole


def texts_for(r, whole):
    vocab = list(whole["model"]["vocab"]) if isinstance(whole["model"]["vocab"], dict) else \
        [t for t, _ in whole["model"]["vocab"]]
    for _ in range(12):
        strange = r.choice([0, 0.05, 0.3])
        length = r.choice([1, 3, 8, 20, 60]) if r.random() < 0.95 else 400
        yield "".join(r.choice(STRANGE) if r.random() < strange else r.choice(vocab) if r.random() < 0.4
                      else r.choice(ALPHABET) for _ in range(length))


def reference(tokenizer, text=None, ids=None):
    """What the library makes of it, None where it fails."""
    try:
        answer = {}
        if text is not None:
            encoding = tokenizer.encode(text)
            ids = encoding.ids
            answer = {"ids": ids, "offsets": [list(o) for o in encoding.offsets],
                      "plain": tokenizer.encode(text, add_special_tokens=False).ids}
        answer["decoded"] = tokenizer.decode(ids, skip_special_tokens=False)
        answer["skipped"] = tokenizer.decode(ids, skip_special_tokens=True)
        answer["streamed"], answer["streamed_skipped"] = answer["decoded"], answer["skipped"]
        return answer
    except BaseException as error:  # panics are no Exceptions
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"error": str(error), "panic": not isinstance(error, Exception)}


class Counts:
    def __init__(self, dump):
        self.dump = open(dump, "w", encoding="utf-8") if dump else None
        self.tokenizers = self.cases = self.mismatches = self.both_fail = self.reference_panics = 0

    def compare(self, what, expected, got, context):
        self.cases += 1
        if expected.get("panic"):
            self.reference_panics += 1
        elif "error" in expected and "error" in got:
            self.both_fail += 1
        elif expected != got:
            self.mismatches += 1
            if self.mismatches <= 10:
                print("MISMATCH", what, ascii(context[-1])[:300])
                for key in sorted(set(expected) | set(got)):
                    if expected.get(key) != got.get(key):
                        print("  ", key, "expected", ascii(expected.get(key))[:300], "got", ascii(got.get(key))[:300])
            if self.dump:
                self.dump.write(json.dumps([context, expected, got]) + "\n")

    def report(self):
        print(f"{self.tokenizers} tokenizers, {self.cases} cases, {self.mismatches} mismatches; both sides refuse "
              f"{self.both_fail}, the reference panics in {self.reference_panics}")


def offsets_differ(whole):
    """Where a prefix falls back to bytes too, the reference's tokens reach beyond the text. Where the vocabulary
    lacks a part of the byte alphabet, its offsets of what follows a gap are shifted otherwise than ours."""
    model = whole["model"]
    if "merges" not in model:
        return False
    affixes = model["continuing_subword_prefix"] or model["end_of_word_suffix"]
    byte_level = (whole["pre_tokenizer"] or {}).get("type") == "ByteLevel"
    return bool(model["byte_fallback"] and affixes or
                byte_level and (affixes or not set(pre_tokenizers.ByteLevel.alphabet()) <= set(model["vocab"])))


def compare_random(program, counts, folder, r, kind):
    whole = tokenizer_json(r, kind)
    text = json.dumps(whole)
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        file.write(text)
    prefix_space = (whole["pre_tokenizer"] or {}).get("add_prefix_space", False)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": prefix_space}, file)
    loaded = program.ask({"load": folder})
    counts.tokenizers += 1
    try:
        tokenizer = Tokenizer.from_str(text)
    except BaseException as error:
        counts.compare("load", {"error": str(error)}, loaded, [whole])
        return
    if "error" in loaded:
        counts.compare("load", {"ok": True}, loaded, [whole])
        return
    for text in texts_for(r, whole):
        expected, got = reference(tokenizer, text=text), program.ask({"text": text})
        if offsets_differ(whole) and "error" not in expected and "error" not in got:
            del expected["offsets"], got["offsets"]
        counts.compare("text", expected, got, [whole, text])
    size = loaded["ok"]
    for _ in range(4):
        ids = [r.randrange(size) for _ in range(r.choice([0, 1, 2, 5, 30]))]
        if r.random() < 0.3:
            ids = [i for i in ids for _ in range(r.choice([1, 1, 3]))]
        counts.compare("ids", reference(tokenizer, ids=ids), program.ask({"ids": ids}), [whole, ids])


def strange_texts(r):
    """Long words, runs, controls, bytes that were no text, and lines of everything mixed."""
    for _ in range(40):
        yield bytes(r.randrange(256) for _ in range(r.choice([5, 40, 300]))).decode("utf-8", "replace")
        yield "".join(chr(r.choice([r.randrange(32), r.randrange(127, 160), 0x20, 0x200b + r.randrange(6), 0x61]))
                      for _ in range(r.choice([3, 30])))
        yield "".join(r.choice("abcdefghijklmnop") for _ in range(r.choice([150, 1000, 5000])))
        yield r.choice(["a", "中", "é", "😀", " ", "\n", "ha", "-=", "\u0301"]) * r.choice([7, 300, 3000])
        yield "".join(chr(r.choice([r.randrange(0x20, 0x2000), r.randrange(0x3000, 0xd800), r.randrange(0xe000, 0x11000),
                                    r.randrange(0x1f300, 0x1fb00)])) for _ in range(r.choice([4, 60])))


def write_alone(source, folder):
    """The tokenizer.json of a folder without the files that make transformers change it."""
    with open(os.path.join(source, "tokenizer.json"), encoding="utf-8") as file:
        whole = json.load(file)
    whole["truncation"] = whole["padding"] = None
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(whole, file)
    prefix_space = (whole["pre_tokenizer"] or {}).get("add_prefix_space", False)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": prefix_space}, file)


def compare_real(program, counts, folder, texts, r):
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    loaded = program.ask({"load": folder})
    counts.tokenizers += 1
    if "error" in loaded:
        counts.compare("load", {"ok": True}, loaded, [folder])
        return
    for text in texts:
        counts.compare("text", reference(tokenizer, text=text), program.ask({"text": text}), [folder, text])
    for _ in range(300):
        ids = [r.randrange(loaded["ok"]) for _ in range(r.choice([1, 2, 5, 30, 200]))]
        counts.compare("ids", reference(tokenizer, ids=ids), program.ask({"ids": ids}), [folder, ids])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("answers")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(MODELS))
    parser.add_argument("--real")
    parser.add_argument("--texts", nargs="*", default=[])
    parser.add_argument("--dump", help="a file for each mismatch with its whole tokenizer")
    options = parser.parse_args()
    program, counts, r = Program(options.answers), Counts(options.dump), random.Random(options.seed)
    if options.real:
        texts = corpus() + list(strange_texts(r))
        for path in options.texts:
            with open(path, encoding="utf-8") as file:
                texts += file.read().split("\n")
        for name in sorted(os.listdir(options.real)):
            source = os.path.join(options.real, name)
            if os.path.exists(os.path.join(source, "tokenizer.json")):
                before = counts.mismatches
                with tempfile.TemporaryDirectory() as folder:
                    write_alone(source, folder)
                    compare_real(program, counts, folder, texts, r)
                print(name, counts.mismatches - before, "mismatches", flush=True)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(options.rounds):
                for kind in [options.kind] if options.kind else MODELS:
                    compare_random(program, counts, folder, r, kind)
    counts.report()
    sys.exit(counts.mismatches > 0)


if __name__ == "__main__":
    main()
