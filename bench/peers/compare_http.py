#!/usr/bin/env python3
"""Compares `tensormill serve` with other servers over HTTP on this machine's CPU, cell by cell.

usage: compare_http.py --work DIR --tensormill build/release/tensormill --programs llama.cpp=FOLDER [--smollm2 FOLDER] ...

For each peer, model, number format and concurrency both servers are started and take turns: streamed requests of
--prompt-tokens random letters and --new-tokens greedy tokens, as many under way as the concurrency says, all sent by
`tensormill bench --url`. Cells are kept in DIR/http.json as compare.py keeps its own. OpenVINO GenAI has no server:
its continuous batching runs in process, which spares it the HTTP.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

import compare
import shapes
import worker
from compare import Failed, Side

PEERS = ("llama.cpp", "ik_llama.cpp", "ik_llama.cpp-rtr", "openvino-genai")
FIGURES = ("tokens_per_second", "requests_per_second", "first_token_ms_p50", "first_token_ms_p99",
           "between_ms_p50", "between_ms_p99")
START = 300  # seconds for a server to load its model


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A server and the client that measures it."""

    def __init__(self, command, path, environment, log, folder, options):
        self.port, self.path = free_port(), path
        self.folder, self.options = folder, options
        self.log = open(log, "w", encoding="utf-8")
        command = [str(self.port) if part == "PORT" else part for part in command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=environment, preexec_fn=worker.end_with_parent)
        try:
            self.wait()
        except BaseException:
            self.close()
            raise

    def wait(self):
        """Until a short request is answered."""
        end = time.monotonic() + START
        while True:
            if self.process.poll() is not None:
                raise Failed(f"ended; see {self.log.name}")
            try:
                self.measure(4, 2, 1, 1)
                return
            except Failed as error:
                loading = "refused" in str(error) or "status 503" in str(error)
                if not loading or time.monotonic() > end:
                    raise
                time.sleep(0.3)

    def measure(self, prompt, new, concurrency, requests):
        command = [self.options.tensormill, "bench", self.folder, "--json", "--repeat", "1", "--warm-up", "0",
                   "--url", f"http://127.0.0.1:{self.port}{self.path}", "--prompt-tokens", str(prompt),
                   "--new-tokens", str(new), "--concurrency", str(concurrency), "--requests", str(requests),
                   "--log-level", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                              preexec_fn=worker.end_with_parent)
        if done.returncode != 0:
            raise Failed(done.stderr.strip()[-300:])
        return json.loads(done.stdout)["runs"][0]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Worker(Side):
    def measure(self, prompt, new, concurrency, requests):
        return self.ask(prompt, new, concurrency, requests)


def start_peer(peer, folder, random, kind, concurrency, options, log):
    environment = compare.environment_of(options)
    if peer == "openvino-genai":
        return Worker(compare.worker_command(peer, "run_openvino_batching.py", folder, random, kind, options),
                      environment, log)
    name = f"{os.path.basename(folder)}.{kind}.gguf"
    path = os.path.join(options.work, "converted", "gguf", name)
    if not os.path.exists(path):  # its worker makes the file, then has no row to run
        Side(compare.worker_command(peer, "run_llama_bin.py", folder, random, kind, options), environment,
             log).close()
    threads = str(options.threads)
    each = (options.prompt_tokens + options.new_tokens + 255) // 256 * 256
    program = worker.find_program(compare.programs_of(peer, options), "llama-server")
    return Server([program, "-m", path, "--host", "127.0.0.1", "--port", "PORT", "-t", threads, "-tb", threads,
                   "-np", str(concurrency), "-c", str(each * concurrency), "-fa", "on", "--cache-ram", "0",
                   *compare.PEERS[peer].flags], "/v1/completions", environment, log, folder, options)


def start_ours(folder, random, kind, concurrency, options, log):
    most = (options.prompt_tokens + options.new_tokens + 255) // 256 * 256
    return Server([options.tensormill, "serve", f"m={folder}", "--port", "PORT", "--device", "cpu", "--threads",
                   str(options.threads), *compare.precision_of(kind), "-o",
                   f"option.max_rolling_batch_size={concurrency}", "-o", f"option.max_tokens={most}",
                   *(["--random-weights"] if random else [])], "/predictions/m",
                  compare.environment_of(options), log, folder, options)


def compare_cell(peer, model, kind, concurrency, options):
    folder, random = compare.model_folder(model, options)
    log = os.path.join(options.work, f"http.{peer}.{model}.{kind}")
    size = (options.prompt_tokens, options.new_tokens, concurrency,
            max(options.requests, options.waves * concurrency))
    theirs = ours = None
    try:
        theirs = start_peer(peer, folder, random, kind, concurrency, options, log + ".peer.log")
        ours = start_ours(folder, random, kind, concurrency, options, log + ".ours.log")
        for side in (ours, theirs):
            side.measure(16, 4, concurrency, concurrency)
        rows = {ours: [], theirs: []}
        for turn in range(options.pairs):
            for side in (ours, theirs) if turn % 2 else (theirs, ours):
                rows[side].append(side.measure(*size))
        ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(rows[ours], rows[theirs])]
        cell = {side: {name: compare.spread([row[name] for row in rows[key]]) for name in FIGURES}
                for side, key in (("ours", ours), ("theirs", theirs))}
        return {**cell, "ratio": compare.spread(ratios), "pairs": options.pairs, "size": size,
                "pieces": [rows[key][-1]["pieces_per_request"] for key in (ours, theirs)],
                "threads": options.threads, "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
    finally:
        for side in (ours, theirs):
            if side is not None:
                side.close()


def print_table(results, keys):
    print(f"{'peer':<17} {'model':<15} {'type':<5} {'conc.':>5} {'ours, theirs: tokens/s':>24} "
          f"{'ours / theirs':>19} {'requests/s':>14} {'first p50/p99 ms':>30} {'next p50/p99 ms':>26}")
    for key in keys:
        peer, model, kind, concurrency = key.split("/")
        cell = results.cells.get(key, {"not_run": "not yet"})
        begin = f"{peer:<17} {model:<15} {kind:<5} {concurrency:>5}"
        if "ratio" not in cell:
            print(f"{begin} not run: {cell['not_run']}")
            continue

        def both(*names, digits=1):
            sides = ["/".join(f"{cell[side][name][0]:.{digits}f}" for name in names)
                     for side in ("ours", "theirs")]
            return ", ".join(sides)
        ratio = "{:.2f} ({:.2f} - {:.2f})".format(*cell["ratio"])
        print(f"{begin} {both('tokens_per_second'):>24} {ratio:>19} {both('requests_per_second', digits=2):>14} "
              f"{both('first_token_ms_p50', 'first_token_ms_p99', digits=0):>30} "
              f"{both('between_ms_p50', 'between_ms_p99'):>26}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = [*shapes.SHAPES, shapes.REAL]
    compare.add_common_options(parser)
    parser.add_argument("--peers", help=", ".join(PEERS))
    parser.add_argument("--models", help=", ".join(models))
    parser.add_argument("--formats", default="bf16,int8")
    parser.add_argument("--concurrency", default="1,8,32")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--requests", type=int, default=8, help="least requests of a turn")
    parser.add_argument("--waves", type=int, default=2, help="requests of a turn for each connection")
    options = parser.parse_args()
    compare.prepare(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that both servers are ended
    results = compare.Results(os.path.join(options.work, "http.json"))
    keys = []
    for peer in compare.chosen(options.peers, PEERS, parser, "--peers"):
        for model in compare.chosen(options.models, models, parser, "--models"):
            for kind in compare.chosen(options.formats, compare.FORMATS, parser, "--formats"):
                for concurrency in options.concurrency.split(","):
                    key = f"{peer}/{model}/{kind}/{concurrency}"
                    keys.append(key)
                    if options.table or (results.done(key) and not options.again):
                        continue
                    print(key, file=sys.stderr, flush=True)
                    try:
                        results.put(key, compare_cell(peer, model, kind, int(concurrency), options))
                    except Failed as error:
                        if not results.done(key):
                            results.put(key, {"not_run": str(error)})
    print_table(results, keys)


if __name__ == "__main__":
    main()
