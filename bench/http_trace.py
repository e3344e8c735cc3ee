#!/usr/bin/env python3
"""Sends the requests of a trace to a server at full load and prints tokens a second.

usage: http_trace.py TRACE [--url http://127.0.0.1:8080/invocations] [--connections 256]
       http_trace.py --make TRACE [--requests 1000] [--seed 1]

A trace is a file of lines "PROMPT OUTPUT" in tokens. A prompt of n tokens is sent as n random letters, so that
prompts share no prefix: the server must serve a model of random weights without tokenizer files, whose tokens are bytes. Python's standard library only.
"""

import argparse
import http.client
import json
import random
import threading
import time
import urllib.parse


def make(path, requests, seed):
    rng = random.Random(seed)
    with open(path, "w", encoding="ascii") as out:
        for _ in range(requests):
            out.write(f"{rng.randint(32, 1024)} {rng.randint(16, 512)}\n")


def send_all(url, trace, connections):
    place = urllib.parse.urlsplit(url)
    lock, next_item, done, failures = threading.Lock(), iter(trace), [0], []
    letters = random.Random(1)

    def work():
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=600)
        while True:
            with lock:
                item = next(next_item, None)
                if item is None:
                    return
                prompt, output = item
                text = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=prompt))
            body = json.dumps({
                "inputs": text,
                "parameters": {"max_new_tokens": output, "ignore_eos": True, "details": True},
            })
            connection.request("POST", place.path, body, {"content-type": "application/json"})
            reply = connection.getresponse()
            answer = reply.read()
            with lock:
                if reply.status == 200:
                    done[0] += output
                else:
                    failures.append((reply.status, answer[:200]))

    threads = [threading.Thread(target=work) for _ in range(connections)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start, done[0], failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", default="http://127.0.0.1:8080/invocations")
    parser.add_argument("--connections", type=int, default=256)
    options = parser.parse_args()
    if options.make:
        return make(options.trace, options.requests, options.seed)
    with open(options.trace, encoding="ascii") as lines:
        trace = [tuple(map(int, line.split())) for line in lines]
    seconds, tokens, failures = send_all(options.url, trace, options.connections)
    print(json.dumps({"requests": len(trace), "failed": len(failures), "output_tokens": tokens,
                      "seconds": round(seconds, 3), "output_tokens_per_second": tokens / seconds}))
    for status, text in failures[:3]:
        print(status, text)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
