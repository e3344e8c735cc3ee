#!/usr/bin/env python3
"""Shows that a request's answer does not depend on its company.

Starts `tensormill serve` on a model with a KV cache too small for all, sends N streaming requests at
once (different prompts, lengths of 128 tokens and more, greedy), then each of them alone, and compares
every token id and every log-probability bit for bit. Needs Python's standard library alone.

usage: batch_bits.py TENSORMILL MODEL [--requests 64] [--cache-mb 24] [--min-batch 32] [serve flags ...]
"""

import argparse
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time

WORDS = """river stone light garden winter engine paper cloud market silver window answer music
forest bridge number yellow mountain letter doctor kitchen village ocean history morning question
travel machine island summer teacher winner pencil station future animal science""".split()


def make_requests(count):
    requests = []
    for index in range(count):
        rng = random.Random(index)
        words = [rng.choice(WORDS) for _ in range(rng.randrange(8, 160))]
        prompt = f"Story {index}: " + " ".join(words)
        requests.append({
            "inputs": prompt,
            "stream": True,
            "parameters": {"max_new_tokens": 128 + 8 * rng.randrange(0, 9), "ignore_eos": True,
                           "details": True},
        })
    return requests


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(port, request):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1200)
    connection.request("POST", "/invocations", json.dumps(request),
                       {"content-type": "application/json"})
    reply = connection.getresponse()
    body = reply.read().decode()
    if reply.status != 200:
        raise RuntimeError(f"status {reply.status}: {body[:200]}")
    tokens = []
    for line in body.splitlines():
        piece = json.loads(line)
        if "token" not in piece:
            raise RuntimeError(f"unexpected line: {line[:200]}")
        tokens.append((piece["token"]["id"][0], piece["token"].get("log_prob")))
    return tokens


def metrics(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/server/metrics")
    text = connection.getresponse().read().decode()
    found = {}
    for line in text.splitlines():
        match = re.match(r"([A-Za-z_0-9]+)(?:\{[^}]*\})? ([-+0-9.eE]+|NaN)$", line)
        if match:
            found[match.group(1)] = float(match.group(2))
    return found


def wait_ready(port, process):
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the server did not get ready")


def run(options, extra):
    port = free_port()
    environment = dict(os.environ, SERVING_PROMETHEUS="true")
    command = [options.tensormill, "serve", options.model, "--port", str(port),
               "-o", f"option.max_rolling_batch_size={options.requests}",
               "-o", f"option.kv_cache_mb={options.cache_mb}",
               "-o", "option.max_tokens=512", *extra]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_ready(port, process)
        requests = make_requests(options.requests)
        together = [None] * len(requests)

        def worker(index):
            try:
                together[index] = call(port, requests[index])
            except Exception as error:  # reported below, with its request
                together[index] = error

        started = time.time()
        threads = [threading.Thread(target=worker, args=(i,)) for i in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.time() - started
        counters = metrics(port)
        tokens = sum(len(answer) for answer in together if isinstance(answer, list))
        print(f"together: {len(requests)} requests, {tokens} tokens in {seconds:.1f} s")
        for name in ("EngineMeanDecodeBatch", "EnginePreemptions_total", "EngineSharedPrefixTokens_total"):
            if name in counters:
                print(f"  {name} {counters[name]:g}")
        alone = [call(port, request) for request in requests]
        wrong = [i for i in range(len(requests)) if together[i] != alone[i]]
        for index in wrong[:5]:
            print(f"request {index} differs: {str(together[index])[:120]} / "
                  f"{str(alone[index])[:120]}")
        print(f"alone: {len(requests) - len(wrong)} of {len(requests)} answers and their "
              "log-probabilities are bit for bit the same")
        failed = bool(wrong)
        batch = counters.get("EngineMeanDecodeBatch", 0.0)
        if batch < options.min_batch:
            print(f"mean decode batch {batch:g}, expected at least {options.min_batch}")
            failed = True
        if counters.get("EnginePreemptions_total", 0.0) < 1:
            print("no preemption happened: the cache was not small enough for this test")
            failed = True
        return 1 if failed else 0
    finally:
        process.terminate()
        code = process.wait(timeout=300)
        if code != 0:
            print(f"the server ended with {code}, expected 0")
            sys.exit(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tensormill")
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--cache-mb", type=int, default=24)
    parser.add_argument("--min-batch", type=float, default=32)
    options, extra = parser.parse_known_args()
    return run(options, extra)


if __name__ == "__main__":
    sys.exit(main())
