#!/usr/bin/env python3
"""A thousand streams at once: all end well, and a stream that waits costs little memory.

Starts `tensormill serve` on a tiny model twice. First all streams are opened behind a request that
holds the only slot, and the server's memory is measured; then they get their tokens in turn. The
second time all run in one batch. Either way each must be complete.

usage: thousand_streams.py TENSORMILL [--streams 1000] [--tokens 100] [--most-kib 64]
Needs Python's standard library alone, and a file descriptor for each stream.
"""

import argparse
import json
import os
import resource
import selectors
import socket
import sys
import tempfile
import threading
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--most-kib", type=float, default=64, help="memory that a stream may take")
    return parser.parse_args()


def resident_kib(process):
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def request(index, tokens):
    body = json.dumps({"inputs": f"stream {index}", "stream": True,
                       "parameters": {"max_new_tokens": tokens, "ignore_eos": True}})
    return (f"POST /invocations HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}")


def read_all(clients):
    """What each client receives until its chunked body ends."""
    received = [bytearray() for _ in clients]
    with selectors.DefaultSelector() as selector:
        for index, client in enumerate(clients):
            client.socket.setblocking(False)
            selector.register(client.socket, selectors.EVENT_READ, index)
        end = time.monotonic() + 600
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(5):
                piece = key.fileobj.recv(65536)
                received[key.data] += piece
                if not piece or received[key.data].endswith(b"\r\n0\r\n\r\n"):
                    selector.unregister(key.fileobj)
    return received


def tokens_of(stream):
    """The number of tokens of a complete stream whose text is the sum of its pieces; else 0."""
    head, _, body = bytes(stream).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 OK\r\n") or not body.endswith(b"0\r\n\r\n"):
        return 0
    lines = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
    text = "".join(line["token"]["text"] for line in lines)
    return len(lines) if lines and lines[-1].get("generated_text") == text else 0


def boot(harness, folder, options, slots):
    return harness.Server(folder, "m=m", "-o", f"option.max_rolling_batch_size={slots}", env={
        "SERVING_PROMETHEUS": "true", "SERVING_CHUNKED_READ_TIMEOUT": "600",
        "PREDICT_TIMEOUT": "600", "SERVING_JOB_QUEUE_SIZE": str(2 * options.streams)})


def open_streams(server, options):
    clients = []
    for index in range(options.streams):
        clients.append(server.connect())
        clients[-1].send(request(index, options.tokens))
    return clients


def complete(clients, options):
    began = time.monotonic()
    whole = sum(tokens_of(stream) == options.tokens for stream in read_all(clients))
    took = time.monotonic() - began
    for client in clients:
        client.close()
    return whole, took


def waiting_streams(harness, server, options):
    """All streams wait behind one that holds the only slot; then they run in turn."""
    for _ in range(50):  # what is allocated once is there before the measurement
        server.post("/invocations", {"inputs": "warm", "parameters": {"max_new_tokens": 100}})
    holder = server.connect()
    holder.request("POST", "/predictions/m", json.dumps({"inputs": "hold", "parameters": {
        "max_new_tokens": 100000, "ignore_eos": True, "output_formatter": "none"}}), harness.JSON)
    threading.Thread(target=drain, args=(holder,), daemon=True).start()
    harness.eventually(lambda: server.metric("EngineRunning") == 1, "a full slot")
    before = resident_kib(server.process.pid)
    clients = open_streams(server, options)
    harness.eventually(lambda: server.metric("EngineWaiting") == options.streams, "queued streams")
    after = resident_kib(server.process.pid)
    holder.socket.shutdown(socket.SHUT_RDWR)
    whole, took = complete(clients, options)
    each = (after - before) / options.streams
    print(f"{options.streams} streams that wait: {before} KiB before, {after} KiB with all open: "
          f"{each:.1f} KiB each; then {whole} complete in {took:.1f} s")
    return whole == options.streams and each <= options.most_kib


def drain(client):
    try:
        while client.chunk():
            pass
    except (OSError, ValueError):
        pass


def running_streams(harness, server, options):
    """All streams get their tokens in the same steps."""
    before = resident_kib(server.process.pid)
    clients = open_streams(server, options)
    whole, took = complete(clients, options)
    print(f"{options.streams} streams of {options.tokens} tokens that run together: {whole} complete "
          f"in {took:.1f} s, mean batch {server.metric('EngineMeanDecodeBatch'):.0f}, "
          f"{before} KiB before and {resident_kib(server.process.pid)} KiB after")
    return whole == options.streams


def main():
    options = arguments()
    os.environ["TENSORMILL_BINARY"] = os.path.abspath(options.program)
    import harness  # reads the variable

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    good = True
    with tempfile.TemporaryDirectory(prefix="tm_streams_") as folder:
        harness.write_model(os.path.join(folder, "m"), harness.ROLLING)
        for slots, phase in ((1, waiting_streams), (options.streams, running_streams)):
            server = boot(harness, folder, options, slots)
            try:
                good &= phase(harness, server, options)
                server.signal()
                good &= server.wait() == 0
            finally:
                server.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
