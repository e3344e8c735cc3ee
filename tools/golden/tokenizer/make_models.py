"""Makes tests/golden/tokenizer/models.json: small tokenizers of every model and decoder, made at random as
differential.py makes them, with what the tokenizers library makes of texts and ids.

    make_models.py OUT
"""
import json
import os
import random
import sys

from tokenizers import Tokenizer

from differential import MODELS, offsets_differ, reference, texts_for, tokenizer_json

WANTED = ["BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece"]


def kinds_in(decoder):
    if decoder is None:
        return {None}
    return {decoder["type"]} | {part["type"] for part in decoder.get("decoders", [])}


def entry_for(r, kind):
    """A tokenizer on which the reference does not fail more than now and then, or None."""
    whole = tokenizer_json(r, kind)
    if len(json.dumps(whole)) > 9000:
        return None
    try:
        tokenizer = Tokenizer.from_str(json.dumps(whole))
    except Exception:
        return None
    cases = []
    for text in texts_for(r, whole):
        answer = reference(tokenizer, text=text)
        if len(text) > 70 or answer.get("panic"):
            continue
        if offsets_differ(whole):
            answer.pop("offsets", None)
        cases.append({"text": text, "error": True} if "error" in answer else
                     {"text": text, **{k: answer[k] for k in ("ids", "offsets", "decoded", "skipped") if k in answer}})
    for _ in range(3):
        ids = [r.randrange(tokenizer.get_vocab_size()) for _ in range(r.choice([1, 2, 5, 12]))]
        answer = reference(tokenizer, ids=ids)
        if "error" not in answer:
            cases.append({"ids": ids, "decoded": answer["decoded"], "skipped": answer["skipped"]})
    fine = sum("error" not in case for case in cases)
    return {"tokenizer": whole, "cases": cases[:10]} if fine > len(cases) / 2 else None


def main():
    r = random.Random(20)
    entries = []
    for kind in MODELS:
        missing = set(WANTED)
        count = 0
        while count < 10 or missing:
            entry = entry_for(r, kind)
            kinds = kinds_in(entry["tokenizer"]["decoder"]) if entry else set()
            if entry and (count < 10 or kinds & missing):
                entries.append(entry)
                missing -= kinds
                count += 1
    with open(os.path.join(sys.argv[1], "models.json"), "w", encoding="utf-8") as stream:
        json.dump(entries, stream, ensure_ascii=True, separators=(",", ":"))
        stream.write("\n")


if __name__ == "__main__":
    main()
