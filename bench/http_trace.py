#!/usr/bin/env python3
"""Sends the requests of a trace to a server at full load and prints tokens a second.

usage: http_trace.py TRACE [--url http://127.0.0.1:8080/invocations] [--connections 512] [--stream]
       http_trace.py --make TRACE [--requests 1000] [--prompts 32,1024] [--outputs 16,512]

A trace is a file of lines "PROMPT OUTPUT" in tokens. A prompt of n tokens is sent as n random
letters, so that prompts share no prefix: as many tokens where the model has no tokenizer files,
since its tokens are bytes then, else fewer. Several processes share the work, so that the sender is
never what is measured; each reads whatever its sockets hold. Python's standard library only.
"""

import argparse
import json
import multiprocessing
import random
import re
import selectors
import socket
import threading
import time
import urllib.parse

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
GENERATED = re.compile(rb'"generated_tokens": *([0-9]+)')


def bounds(text):
    least, most = map(int, text.split(","))
    return least, most


def make(options):
    rng = random.Random(options.seed)
    with open(options.trace, "w", encoding="ascii") as out:
        for _ in range(options.requests):
            out.write(f"{rng.randint(*options.prompts)} {rng.randint(*options.outputs)}\n")


class Connection:
    """One request after another; the answer's pieces are kept unread until it is whole."""

    def __init__(self, place):
        self.socket = socket.create_connection((place.hostname, place.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pieces, self.tail, self.left, self.head = [], b"", None, True

    def send(self, message):
        self.pieces, self.tail, self.left, self.head = [], b"", None, True
        self.socket.sendall(message)

    def receive(self):
        """The whole answer, or None while some of it is missing."""
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise ConnectionError("the server closed a connection")
        if self.head:
            piece = b"".join(self.pieces) + piece
            self.pieces, self.tail = [], b""
            head, end, body = piece.partition(b"\r\n\r\n")
            self.head = not end
            length = LENGTH.search(head) if end else None
            if length:
                self.left = int(length[1]) - len(body)
        elif self.left is not None:
            self.left -= len(piece)
        self.pieces.append(piece)
        self.tail = (self.tail + piece)[-7:]
        whole = self.left <= 0 if self.left is not None else self.tail == b"\r\n0\r\n\r\n"
        return b"".join(self.pieces) if whole else None


def read_answer(answer, output):
    """How many tokens came, and what is wrong."""
    if not answer.startswith(b"HTTP/1.1 200"):
        return 0, answer[:300].decode(errors="replace")
    found = GENERATED.findall(answer)
    tokens = int(found[-1]) if found else 0
    wrong = None if tokens == output else f"{tokens} of {output} tokens: {answer[-200:]!r}"
    return tokens, wrong


def work(options, number, place, messages, next_item, started, results):
    """One process: what becomes of its share is put into `results`, whatever happens."""
    try:
        results.put(send_share(options, number, place, messages, next_item, started))
    except (OSError, threading.BrokenBarrierError) as error:
        started.abort()
        results.put((0, 0, [f"a process ended: {error!r}"]))


def send_share(options, number, place, messages, next_item, started):
    """A share of the connections, each taking the next request of all."""
    waiting = selectors.DefaultSelector()
    tokens, size, failures = 0, 0, []
    outputs = {}

    def begin(connection):
        with next_item.get_lock():
            item = next_item.value
            next_item.value += 1
        if item >= len(messages):
            waiting.unregister(connection.socket)
            return
        output, message = messages[item]
        outputs[connection] = output
        connection.send(message)

    connections = [Connection(place)
                   for _ in range(number, options.connections, options.processes)]
    for connection in connections:
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    started.wait()
    for connection in connections:
        begin(connection)
    while waiting.get_map():
        for key, _ in waiting.select():
            answer = key.data.receive()
            if answer is None:
                continue
            came, wrong = read_answer(answer, outputs[key.data])
            tokens, size = tokens + came, size + len(answer)
            if wrong:
                failures.append(wrong)
            begin(key.data)
    return tokens, size, failures


def send_all(options, trace):
    place = urllib.parse.urlsplit(options.url)
    letters = random.Random(options.seed)
    messages = []
    for prompt, output in trace:
        body = json.dumps({
            "inputs": "".join(letters.choices(LETTERS, k=prompt)),
            "parameters": {"max_new_tokens": output, "ignore_eos": True, "details": True},
            "stream": options.stream,
        })
        head = (f"POST {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n")
        messages.append((output, (head + body).encode()))
    next_item, results = multiprocessing.Value("l", 0), multiprocessing.Queue()
    started = multiprocessing.Barrier(options.processes + 1)
    workers = [multiprocessing.Process(target=work, args=(options, number, place, messages,
                                                          next_item, started, results))
               for number in range(options.processes)]
    for worker in workers:
        worker.start()
    try:
        started.wait()
    except threading.BrokenBarrierError:
        pass  # the results say why
    start = time.monotonic()
    parts = [results.get() for _ in workers]
    seconds = time.monotonic() - start
    for worker in workers:
        worker.join()
    failures = [failure for part in parts for failure in part[2]]
    return seconds, sum(part[0] for part in parts), sum(part[1] for part in parts), failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prompts", type=bounds, default=(32, 1024), metavar="LEAST,MOST")
    parser.add_argument("--outputs", type=bounds, default=(16, 512), metavar="LEAST,MOST")
    parser.add_argument("--url", default="http://127.0.0.1:8080/invocations")
    parser.add_argument("--connections", type=int, default=512)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--stream", action="store_true", help="ask for a line for each token")
    options = parser.parse_args()
    options.processes = min(options.processes, options.connections)
    if options.make:
        return make(options)
    with open(options.trace, encoding="ascii") as lines:
        trace = [tuple(map(int, line.split())) for line in lines]
    seconds, tokens, size, failures = send_all(options, trace)
    print(json.dumps({"requests": len(trace), "failed": len(failures), "output_tokens": tokens,
                      "bytes": size, "seconds": round(seconds, 3),
                      "output_tokens_per_second": round(tokens / seconds, 1)}))
    for failure in failures[:3]:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
