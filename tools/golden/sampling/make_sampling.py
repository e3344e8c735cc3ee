"""Writes tests/golden/sampling/processors.json: what the logits processors of transformers leave of
small rows of logits. Run from the repository's root; needs torch and transformers."""

import json
import pathlib

import torch
from transformers.generation import logits_process as lp

OUT = pathlib.Path("tests/golden/sampling/processors.json")

CASES = [
    {},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.7},
    {"presence_penalty": 0.8},
    {"frequency_penalty": -0.6},
    {"presence_penalty": -0.4, "frequency_penalty": 0.9},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"temperature": 0.5},
    {"temperature": 2.5},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 500},
    {"top_p": 0.05},
    {"top_p": 0.5},
    {"top_p": 0.95},
    {"typical_p": 0.2},
    {"typical_p": 0.7},
    {"typical_p": 0.97},
    {"min_p": 0.02},
    {"min_p": 0.3},
    {"min_p": 1.0},
    {"temperature": 0.8, "top_k": 12, "top_p": 0.9, "typical_p": 0.9, "min_p": 0.01},
    {"temperature": 1.7, "top_k": 30, "top_p": 0.8, "repetition_penalty": 1.2},
    {"repetition_penalty": 1.1, "presence_penalty": 0.5, "no_repeat_ngram_size": 2, "top_p": 0.7},
]


def process(case, logits, tokens, prompt):
    ids = torch.tensor([tokens])
    scores = torch.tensor([logits])
    if "repetition_penalty" in case:
        scores = lp.RepetitionPenaltyLogitsProcessor(case["repetition_penalty"])(ids, scores)
    for token in set(tokens[prompt:]):  # as the OpenAI API documents them
        scores[0, token] -= case.get("presence_penalty", 0.0)
        scores[0, token] -= case.get("frequency_penalty", 0.0) * tokens[prompt:].count(token)
    if "no_repeat_ngram_size" in case:
        scores = lp.NoRepeatNGramLogitsProcessor(case["no_repeat_ngram_size"])(ids, scores)
    if "temperature" in case:
        scores = lp.TemperatureLogitsWarper(case["temperature"])(ids, scores)
    if "top_k" in case:
        scores = lp.TopKLogitsWarper(case["top_k"])(ids, scores)
    if "top_p" in case:
        scores = lp.TopPLogitsWarper(case["top_p"])(ids, scores)
    if "typical_p" in case:
        scores = lp.TypicalLogitsWarper(case["typical_p"])(ids, scores)
    if "min_p" in case:
        scores = lp.MinPLogitsWarper(case["min_p"])(ids, scores)
    return torch.log_softmax(scores, -1)[0]


def main():
    generator = torch.Generator().manual_seed(11)
    rows = []
    for case in CASES:
        size = 37
        logits = (torch.randn(size, generator=generator) * 2.5).tolist()
        logits = [round(x, 4) for x in logits]
        tokens = torch.randint(0, 4, (30,), generator=generator).tolist()
        prompt = 13
        left = process(case, logits, tokens, prompt)
        expected = [[i, round(v, 6)] for i, v in enumerate(left.tolist()) if v > -1e30]
        plain = torch.log_softmax(torch.tensor(logits), -1)
        moved = len(expected) != size or (left - plain).abs().max() > 0.01
        if case and case != {"top_k": 500}:
            assert moved, f"{case} changes nothing"
        rows.append({"params": case, "logits": logits, "tokens": tokens, "prompt": prompt,
                     "expected": expected})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


main()
