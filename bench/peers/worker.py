"""What the peers' workers share: options, and rows on request as `tensormill bench --follow` answers them."""

import argparse
import ctypes
import json
import os
import signal
import sys


def end_with_parent():
    """For a child: to be ended when its parent is, however that ends (Linux)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def find_program(folder, name):
    for path in (os.path.join(folder, name), os.path.join(folder, "bin", name)):
        if os.access(path, os.X_OK):
            return path
    raise RuntimeError(f"{folder}: no {name} there, nor in bin")


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="folder with config.json")
    parser.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--format", choices=("f32", "bf16", "f16", "int8"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cache", required=True, help="folder for converted models")
    parser.add_argument("--programs", help="folder of the peer's programs")
    parser.add_argument("--flag", action="append", default=[], help="for the peer's program")
    return parser.parse_args()


def serve(load):
    """load(options) returns run(prompt, new, concurrency) -> (seconds of the prompts and first tokens,
    seconds of the other tokens)."""

    def rows(given):
        run = load(given)

        def row(prompt, new, concurrency):
            first, rest = run(prompt, new, concurrency)
            rates = {"prefill_tokens_per_second": prompt * concurrency / first}
            if new > 1:
                rates["decode_tokens_per_second"] = (new - 1) * concurrency / rest
            return rates

        return row

    serve_rows(rows)


def serve_rows(load):
    """load(options) returns row(numbers of a line...) -> what is answered. Whatever libraries print goes
    to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(text):
        answers.write(text + "\n")
        answers.flush()

    try:
        row = load(options())
    except Exception as error:
        answer(f"{type(error).__name__}: {error}".replace("\n", " ")[:300])
        raise
    answer("ready")
    for line in sys.stdin:
        try:
            answer(json.dumps(row(*map(int, line.split()))))
        except Exception as error:  # told to the other side, which goes on with the next row
            answer(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}))
