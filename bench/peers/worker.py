"""What the peers' workers share: options, and rows on request as `tensormill bench --follow` answers them."""

import argparse
import json
import os
import sys


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="folder with config.json")
    parser.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--format", choices=("f32", "bf16", "f16", "int8"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cache", required=True, help="folder for converted models")
    return parser.parse_args()


def serve(load):
    """load(options) returns run(prompt, new, concurrency) -> (seconds of the prompts and first tokens,
    seconds of the other tokens). Whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(text):
        answers.write(text + "\n")
        answers.flush()

    try:
        run = load(options())
    except Exception as error:
        answer(f"{type(error).__name__}: {error}".replace("\n", " ")[:300])
        raise
    answer("ready")
    for line in sys.stdin:
        prompt, new, concurrency = map(int, line.split())
        try:
            first, rest = run(prompt, new, concurrency)
        except Exception as error:  # told to the other side, which goes on with the next row
            answer(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}))
            continue
        row = {"prefill_tokens_per_second": prompt * concurrency / first}
        if new > 1:
            row["decode_tokens_per_second"] = (new - 1) * concurrency / rest
        answer(json.dumps(row))
