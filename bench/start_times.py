#!/usr/bin/env python3
"""Times from the start of a process to its first token, with a warm file cache.

usage: start_times.py MODEL PROGRAM [PROGRAM ...] [--runs 9] [--port 18099] [-- OPTION ...]

`generate` until the first byte of its answer, and `serve` until a client that asks every 2 ms has
an answer of one token. Several programs take turns; medians, the least and the most, in seconds.
Options after -- go to both commands. Python's standard library only.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time

PATIENCE = 60  # seconds
BODY = json.dumps({"inputs": "Hello", "parameters": {"max_new_tokens": 1}}).encode()
REQUEST = (b"POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
           b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY)) + BODY


def start(command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def generate(program, options):
    begin = time.monotonic()
    process = start([program, "generate", options.model, "--prompt", "Hello", "--max-new-tokens",
                     "1", *options.rest])
    if not process.stdout.read(1):
        raise SystemExit(f"{program} generate: no answer")
    first = time.monotonic() - begin
    process.stdout.read()
    process.wait()
    return {"generate, first token": first, "generate, whole process": time.monotonic() - begin}


def ask(port):
    """The reply, or nothing where nobody listens yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(REQUEST)
            with connection.makefile("rb") as stream:
                return stream.read()
    except ConnectionError:
        return b""


def serve(program, options):
    begin = time.monotonic()
    process = start([program, "serve", options.model, "--port", str(options.port), *options.rest])
    try:
        while not (reply := ask(options.port)).startswith(b"HTTP/1.1 200"):
            if process.poll() is not None or time.monotonic() - begin > PATIENCE:
                raise SystemExit(f"{program} serve: no answer: {reply[:300]!r}")
            time.sleep(0.002)
        return {"serve, first answer": time.monotonic() - begin}
    finally:
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--port", type=int, default=18099)
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:split])
    options.rest = given[split + 1:]
    times = {program: {} for program in options.programs}
    for run in range(options.runs + 1):  # the first warms the file cache
        for program in options.programs[::1 if run % 2 else -1]:
            for name, seconds in (generate(program, options) | serve(program, options)).items():
                times[program].setdefault(name, []).append(seconds)
    for program, rows in times.items():
        print(program)
        for name, values in rows.items():
            values = values[1:]
            middle = statistics.median(values)
            print(f"  {name:<24} {middle:.3f} s ({min(values):.3f} - {max(values):.3f})")


if __name__ == "__main__":
    main()
