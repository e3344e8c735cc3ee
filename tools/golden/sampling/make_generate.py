"""Writes tests/golden/sampling/generate.json: what transformers' generate makes of keys of
generation_config.json, greedily, on tests/golden/models/llama/grouped. Run from the repository's root; needs torch and
transformers."""

import json
import pathlib
import tempfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

MODELS = pathlib.Path("tests/golden/models/llama")
OUT = pathlib.Path("tests/golden/sampling/generate.json")
TOKENS = 12
EOS = [4, 5]


def load():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "config.json").write_bytes((MODELS / "grouped.config.json").read_bytes())
        (folder / "model.safetensors").write_bytes((MODELS / "grouped.weights.safetensors").read_bytes())
        config = AutoConfig.from_pretrained(folder)
        return AutoModelForCausalLM.from_pretrained(folder, config=config, torch_dtype=torch.float32).eval()


def generate(model, keys, prompt):
    keys = {"eos_token_id": EOS, "pad_token_id": 0, "max_new_tokens": TOKENS, **keys}
    if "max_length" in keys:
        del keys["max_new_tokens"]
    with torch.no_grad():
        out = model.generate(torch.tensor([prompt]), generation_config=GenerationConfig(**keys))
    return out[0, len(prompt):].tolist()


def main():
    model = load()
    prompt = [7, 11, 3, 19, 23]
    plain = generate(model, {}, prompt)
    one = [prompt[0]]
    plain_one = generate(model, {}, one)
    print(plain, plain_one)
    at = 3
    cases = [
        ("suppressed", {"suppress_tokens": [plain[0], plain[at], 100000]}, prompt),
        ("many suppressed", {"suppress_tokens": sorted(set(plain + list(range(40))))}, prompt),
        ("suppressed at the beginning", {"begin_suppress_tokens": [plain[0]]}, prompt),
        ("bad words of one token", {"bad_words_ids": [[plain[1]], [plain[at]], [EOS[0]]]}, prompt),
        ("bad words", {"bad_words_ids": [plain[:2], plain[at - 2:at + 1], [prompt[-1], plain[0]]]}, prompt),
        ("bad words as long as the text", {"bad_words_ids": [prompt + plain[:1], prompt[1:] + plain[:1]]}, prompt),
        ("a bad word longer than the text", {"bad_words_ids": [prompt + plain[:1]]}, prompt),
        ("forced at the end", {"forced_eos_token_id": 4}, prompt),
        ("forced at the end, one of two", {"forced_eos_token_id": [9, 8]}, prompt),
        ("forced after one token", {"forced_bos_token_id": 17}, one),
        ("forced first token of a longer prompt", {"forced_bos_token_id": 17}, prompt),
        ("forced, then suppressed", {"forced_bos_token_id": 17, "begin_suppress_tokens": [plain_one[0], 17]}, one),
        ("no end before", {"suppress_tokens": [x for x in range(2, 40) if x not in EOS], "min_new_tokens": 6}, prompt),
        ("no end before a length", {"suppress_tokens": [x for x in range(0, 40) if x not in EOS], "min_length": 8,
                                    "max_length": 12}, prompt),
        ("repetition", {"repetition_penalty": 1.4}, prompt),
        ("n-grams", {"no_repeat_ngram_size": 2}, [3, 4, 3, 4, 3, 4, 3]),
        ("all together", {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "bad_words_ids": [plain[1:3]],
                          "suppress_tokens": [plain[0]], "begin_suppress_tokens": [9], "forced_eos_token_id": 4,
                          "max_length": 14}, prompt),
    ]
    same = {"forced first token of a longer prompt", "a bad word longer than the text"}
    rows = []
    for name, keys, ids in cases:
        expected = generate(model, keys, ids)
        changed = expected != generate(model, {}, ids)
        print(name, expected)
        assert changed != (name in same), name
        rows.append({"name": name, "keys": {"eos_token_id": EOS, **keys}, "prompt": ids, "expected": expected})
    OUT.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


main()
