"""Times tokenizers beside the tokenizers library, one thread each, in one run.

    compare.py BENCH TOKENIZERS CORPUS [--names gpt2,llama3] [--megabytes 10] [--rounds 2] [--json FILE]

BENCH is the program tokenizer_bench, TOKENIZERS a folder with one folder for each tokenizer, CORPUS what
make_corpus.py made. Each side's fastest round counts; the sides take turns. `batch` is encode_batch, which is
nearly the library's Rust side alone (RAYON_NUM_THREADS=1); `fast` is encode_batch_fast, which makes no
offsets; `calls` is encode() from Python for each line. Ids are compared by hash.
"""
import argparse
import json
import os
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402
from tokenizers.decoders import DecodeStream  # noqa: E402

BATCH = 1000


def read_lines(path, megabytes):
    lines, size = [], 0
    with open(path, "rb") as file:
        for line in file:
            if size >= megabytes * 1e6:
                break
            line = line[:-1] if line.endswith(b"\n") else line
            size += len(line)
            lines.append(line.decode())
    return lines


def fnv(values):
    result = 0
    for value in values:
        for byte in value:
            result = (result ^ byte) * 0x01000193 & 0xffffffff
    return result


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def load(folder):
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def ours(bench, *args):
    done = subprocess.run([bench, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def encode_times(bench, folder, path, options):
    lines = read_lines(path, options.megabytes)
    batches = [lines[i:i + BATCH] for i in range(0, len(lines), BATCH)]
    tokenizer = load(folder)
    ways = {
        "batch": lambda: [None for b in batches if tokenizer.encode_batch(b) is None],
        "fast": lambda: [None for b in batches if tokenizer.encode_batch_fast(b) is None],
        "calls": lambda: [None for line in lines if tokenizer.encode(line) is None],
    }
    best = dict.fromkeys(ways, float("inf"))
    mine = None
    for _ in range(options.rounds):
        result = ours(bench, folder, "encode", path, options.megabytes, 1)
        mine = result if mine is None or result["seconds"] < mine["seconds"] else mine
        for name in options.ways:
            best[name] = min(best[name], timed(ways[name]))
    check = min(len(lines), 20000)
    ids = [tokenizer.encode(line).ids for line in lines[:check]]
    size = (sum(len(line.encode()) for line in lines[:check]) - 0.5) / 1e6  # neither a line less nor more
    same = None
    if options.check:
        part = ours(bench, folder, "encode", path, size, 1)
        same = part["hash"] == fnv(i.to_bytes(4, "little") for line in ids for i in line)
    return {"ours": mine["seconds"], **{w: best[w] for w in options.ways}, "bytes": mine["bytes"], "tokens": mine["tokens"],
            "same": same}


def stream_times(bench, folder, path, options):
    megabytes = options.megabytes / 5
    lines = read_lines(path, megabytes)
    tokenizer = load(folder)
    ids = [tokenizer.encode(line).ids for line in lines]

    def steps():
        for line in ids:
            stream = DecodeStream(skip_special_tokens=False)
            for i in line:
                try:
                    stream.step(tokenizer, i)
                except Exception:  # its streams fail where a text changes later
                    break

    def calls():
        count = tokenizer.token_to_id
        for line in ids:
            for _ in line:
                count("")

    best, overhead, mine = float("inf"), float("inf"), None
    for _ in range(options.rounds):
        result = ours(bench, folder, "stream", path, megabytes, 1)
        mine = result if mine is None or result["seconds"] < mine["seconds"] else mine
        best = min(best, timed(steps))
        overhead = min(overhead, timed(calls))
    return {"ours": mine["seconds"], "stream": best, "empty_calls": overhead, "tokens": mine["tokens"]}


def load_times(bench, folder, options):
    best = float("inf")
    mine = float("inf")
    for _ in range(options.rounds):
        mine = min(mine, ours(bench, folder, "load", 2)["seconds"])
        best = min(best, timed(lambda: load(folder)))
    return {"ours": mine, "load": best}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench")
    parser.add_argument("tokenizers")
    parser.add_argument("corpus")
    parser.add_argument("--names", default="gpt2,llama2,llama3,bert,pegasus,t5")
    parser.add_argument("--texts", default="english,multilingual")
    parser.add_argument("--what", default="encode,stream,load")
    parser.add_argument("--ways", default="batch")
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.ways = options.ways.split(",")
    results = {}
    for name in options.names.split(","):
        folder = os.path.join(options.tokenizers, name)
        for text in options.texts.split(","):
            path = os.path.join(options.corpus, text + ".txt")
            if "encode" in options.what:
                r = results[f"{name} {text} encode"] = encode_times(options.bench, folder, path, options)
                ratios = ", ".join(f"{way} {r['bytes'] / r[way] / 1e6:.1f} MB/s ({r[way] / r['ours']:.2f}x)" for way in options.ways)
                print(f"{name} {text} encode: {r['bytes'] / r['ours'] / 1e6:.1f} MB/s; {ratios}; same ids: {r['same']}", flush=True)
            if "stream" in options.what:
                r = results[f"{name} {text} stream"] = stream_times(options.bench, folder, path, options)
                print(f"{name} {text} stream: {r['tokens'] / r['ours'] / 1e6:.2f} M tokens/s; reference "
                      f"{r['tokens'] / r['stream'] / 1e6:.2f} ({r['stream'] / r['ours']:.2f}x; without its empty calls "
                      f"{(r['stream'] - r['empty_calls']) / r['ours']:.2f}x)", flush=True)
        if "load" in options.what:
            r = results[f"{name} load"] = load_times(options.bench, folder, options)
            print(f"{name} load: {r['ours'] * 1e3:.0f} ms; reference {r['load'] * 1e3:.0f} ms", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
