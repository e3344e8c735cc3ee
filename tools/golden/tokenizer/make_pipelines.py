"""Writes tests/golden/tokenizer/pipelines.json: a few of the pipelines that pipelines.py makes at random.

    make_pipelines.py tests/golden/tokenizer

Expected values are those of tokenizers==0.22.2; all but the ids are hashed. The models are shared.
"""
import json
import os
import random
import sys

from tokenizers import Tokenizer

import pipelines

COUNT, TEXTS = 150, 4


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def digest(answer):
    lines = [f"{i},{t},{b},{e},{w},{s},{text}" for i, t, (b, e), w, s, text in zip(
        answer["ids"], answer["type_ids"], answer["offsets"], answer["words"], answer["special"], answer["tokens"])]
    return "\n".join(lines) + "\n|" + "".join(digest(piece) for piece in answer["overflowing"])


def cases(r, whole, tokenizer):
    for i in range(TEXTS):
        text = pipelines.random_text(r, whole)[:40]
        pair = pipelines.random_text(r, whole)[:25] if i % 2 else None
        special = i != 2
        truncation = whole["truncation"]
        added = tokenizer.num_special_tokens_to_add(pair is not None) if special else 0
        if truncation and truncation["max_length"] < added:
            continue
        answer = pipelines.reference(tokenizer, text, pair, special)
        if "error" not in answer:
            yield [text, pair, special, answer["ids"], fnv(digest(answer))]


def token(content, **flags):
    return dict({"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True,
                 "special": False}, **flags)


def of_interest():
    """Added tokens of which the normalizer leaves nothing, and a mark that Unicode 15 moved."""
    strip = {"type": "Strip", "strip_left": True, "strip_right": False}
    split = {"type": "Split", "pattern": {"Regex": "^."}, "behavior": "Removed", "invert": True}
    marks = {"type": "Split", "pattern": {"Regex": "[^\\p{Mn}]+"}, "behavior": "Isolated", "invert": False}
    for normalizer, splitter, added, texts in (
            (strip, split, [token("\n", rstrip=True), token("the")], ["[MASK]", "a the  b", "\n\nthex"]),
            (strip, None, [token("  "), token("foo", single_word=True)], ["x foo  y", "foo", " "]),
            (strip, None, [token(" ", single_word=True), token("a", lstrip=True)], ["b - a ac", "  x"]),
            (None, marks, [], ["a\U0001171eb\u0301c", "\U0001171f\U0001171e"])):
        yield {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
               "pre_tokenizer": splitter, "post_processor": None, "decoder": None}, texts


def main():
    r = random.Random(20)
    maps = pipelines.charsmaps()[-1:]
    models = [pipelines.model(r, byte_level=True) for _ in range(6)]
    result = []
    while len(result) < COUNT:
        whole = pipelines.tokenizer_json(r, maps)
        number = r.randrange(len(models))
        whole["model"] = models[number]
        try:
            tokenizer = Tokenizer.from_str(json.dumps(whole))
        except Exception:
            continue
        tokenizer.no_padding()
        result.append({"json": dict(whole, model=number), "cases": list(cases(r, whole, tokenizer))})
    for whole, texts in of_interest():
        tokenizer = Tokenizer.from_str(json.dumps(dict(whole, model=models[0])))
        answers = [(text, pipelines.reference(tokenizer, text, None, True)) for text in texts]
        result.append({"json": dict(whole, model=0),
                       "cases": [[text, None, True, answer["ids"], fnv(digest(answer))] for text, answer in answers]})
    with open(os.path.join(sys.argv[1], "pipelines.json"), "w", encoding="ascii") as out:
        json.dump({"models": models, "tokenizers": result}, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main()
