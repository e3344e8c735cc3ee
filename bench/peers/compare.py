#!/usr/bin/env python3
"""Compares tensormill with other programs on this machine's CPU, cell by cell.

usage: compare.py --work DIR --tensormill build/release/tensormill [--smollm2 FOLDER] [--peers a,b] ...

For each peer, model and number format both programs are loaded once and then take turns, row by row, after a short row
that warms up: at least five pairs, every other one the other way around. A cell is the median of the ratios, ours over
theirs, with the least and the most. Cells that are done are kept in DIR/results.json and not run again; those that can't be
run say why. Peers are installed by pip into environments under DIR; llama.cpp and ik_llama.cpp are programs that were
built before, and start anew for every row. Needs Python's standard library alone.
"""

import argparse
import fcntl
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import shapes
import worker

HERE = os.path.dirname(os.path.abspath(__file__))


class Peer(NamedTuple):
    packages: list  # what pip installs
    worker: str
    cache: str  # where its models lie; peers that share one read the same files
    program: str = ""  # whose folder --programs names; the worker starts what is in it
    flags: tuple = ()  # more of the program's options


GGUF = ["gguf", "numpy"]
PEERS = {
    "llama.cpp": Peer(GGUF, "run_llama_bin.py", "gguf", "llama.cpp", ("--load-mode", "none")),
    "ik_llama.cpp": Peer(GGUF, "run_llama_bin.py", "gguf", "ik_llama.cpp", ("--no-mmap",)),
    "ik_llama.cpp-rtr": Peer(GGUF, "run_llama_bin.py", "gguf", "ik_llama.cpp", ("-rtr",)),
    "llama-cpp-python": Peer(["llama-cpp-python", *GGUF], "run_llama_cpp.py", "gguf"),
    "ctranslate2": Peer(["ctranslate2", "torch", "transformers"], "run_ctranslate2.py", "ctranslate2"),
    "onnxruntime-genai": Peer(["onnxruntime-genai", "onnx", "onnx_ir", "torch", "transformers"],
                              "run_onnxruntime_genai.py", "onnxruntime-genai"),
    "openvino-genai": Peer(["openvino-genai", "optimum-intel[openvino]"], "run_openvino_genai.py",
                           "openvino-genai"),
    "transformers": Peer(["torch", "transformers"], "run_transformers.py", "transformers"),
}
FORMATS = ("f32", "bf16", "f16", "int8")
NEW = 32
TESTS = {f"prefill {n}": (n, 1, 1) for n in (128, 512, 2048)}
TESTS.update({f"decode {n}": (128, NEW, n) for n in (1, 4, 8, 16, 32)})
PATIENCE = 1800  # seconds for one row or one load on a slow machine


class Failed(Exception):
    pass


class Side:
    """A program that answers a line PROMPT NEW CONCURRENCY with a line of JSON."""

    def __init__(self, command, environment, log):
        self.log = open(log, "w", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, env=environment, text=True, bufsize=1,
                                        preexec_fn=worker.end_with_parent)
        try:
            line = self.line()
            if line != "ready":
                raise Failed(line)
        except Failed:
            self.close()
            raise

    def line(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()  # a late answer would be taken for the next row's
            raise Failed(f"no answer in {PATIENCE} s")
        line = self.process.stdout.readline().strip()
        if not line:
            raise Failed(f"ended; see {self.log.name}")
        return line

    def ask(self, *numbers):
        try:
            self.process.stdin.write(" ".join(map(str, numbers)) + "\n")
        except OSError as error:
            raise Failed(f"ended; see {self.log.name}") from error
        row = json.loads(self.line())
        if "error" in row:
            raise Failed(row["error"])
        return row

    def measure(self, size):
        return self.ask(*size)["decode_tokens_per_second" if size[1] > 1 else "prefill_tokens_per_second"]

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()


def pairs_of(items):
    return dict(item.split("=", 1) for item in items)


def programs_of(peer, options):
    """The folder of the peer's programs, or nothing for one that is a library."""
    program = PEERS[peer].program
    if not program:
        return None
    folder = pairs_of(options.programs).get(program)
    if not folder:
        raise Failed(f"no --programs {program}=FOLDER given")
    return os.path.abspath(folder)


def python_of(peer, options):
    """The interpreter of the peer's environment, made where it isn't there."""
    given = pairs_of(options.env)
    if peer in given:
        return given[peer]
    folder = os.path.join(options.work, f"env-{peer}")
    python = os.path.join(folder, "bin", "python")
    done = os.path.join(folder, "installed")
    if not os.path.exists(done):
        log = f"{folder}.log"
        with open(log, "w", encoding="utf-8") as file:
            for command in ([sys.executable, "-m", "venv", folder],
                            [python, "-m", "pip", "install", *PEERS[peer].packages]):
                if subprocess.run(command, stdout=file, stderr=file, check=False).returncode != 0:
                    raise Failed(f"could not be installed; see {log}")
        with open(done, "w", encoding="utf-8"):
            pass
    return python


def about(peer, python, programs):
    """The peer's version: of its packages, or as its program says it."""
    if programs:
        said = subprocess.run([worker.find_program(programs, "llama-batched-bench"), "--version"],
                              capture_output=True, text=True, check=False)
        lines = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("version")]
        return " ".join([peer, *lines[:1]])
    return versions(python, PEERS[peer].packages)


def versions(python, packages):
    code = "import sys\nfrom importlib.metadata import version\n" \
           "print(' '.join(f'{p} {version(p)}' for p in sys.argv[1:]))"
    names = [package.split("[")[0] for package in packages]
    done = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=False)
    return done.stdout.strip()


class Results:
    def __init__(self, path):
        self.path = path
        self.read()

    def read(self):
        self.cells = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.cells = json.load(file)

    def put(self, key, cell):
        with open(self.path + ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.read()  # another call may have added cells
            self.cells[key] = cell
            with open(self.path + ".partial", "w", encoding="utf-8") as file:
                json.dump(self.cells, file, indent=1)
            os.replace(self.path + ".partial", self.path)

    def done(self, key):
        return "ratio" in self.cells.get(key, {})


def spread(values):
    return [statistics.median(values), min(values), max(values)]


def model_folder(model, options):
    """Folder, and whether its weights are made up."""
    if model != shapes.REAL:
        return shapes.make_folder(options.work, model), True
    if not options.smollm2:
        raise Failed("no --smollm2 folder given")
    return os.path.abspath(options.smollm2), False


def environment_of(options):
    return dict(os.environ, OMP_NUM_THREADS=str(options.threads), PYTHONDONTWRITEBYTECODE="1",
                TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")


def precision_of(kind):
    return ["--dtype", "bf16", "--quantize", "dynamic_int8"] if kind == "int8" else ["--dtype", kind]


def worker_command(peer, script, folder, random, kind, options):
    cache = os.path.join(options.work, "converted", PEERS[peer].cache)
    os.makedirs(cache, exist_ok=True)
    programs = programs_of(peer, options)
    return [python_of(peer, options), os.path.join(HERE, script), "--model", folder,
            *(["--random"] if random else []), "--format", kind, "--threads", str(options.threads),
            "--cache", cache, *(["--programs", programs] if programs else []),
            *("--flag=" + flag for flag in PEERS[peer].flags)]


def short_of(size):
    """A row that warms up: the same kind of steps, fewer of them."""
    prompt, new, concurrency = size
    return (min(prompt, 16), 4, concurrency) if new > 1 else (min(prompt, 256), 1, concurrency)


def compare_group(peer, model, kind, tests, options, put):
    """Both sides loaded once, all tests in turn."""
    folder, random = model_folder(model, options)
    most = min(2048 + NEW, shapes.positions(folder))
    environment = environment_of(options)
    log = os.path.join(options.work, f"{peer}.{model}.{kind}")
    theirs = ours = None
    try:
        theirs = Side(worker_command(peer, PEERS[peer].worker, folder, random, kind, options), environment,
                      log + ".peer.log")
        ours = Side([options.tensormill, "bench", folder, "--follow", "--repeat", "1", *precision_of(kind),
                     "--threads", str(options.threads), "--prompt-tokens", str(most - NEW), "--new-tokens",
                     str(NEW), "--concurrency", "32", "--step-tokens", "4096", "--device", "cpu",
                     *(["--random-weights"] if random else [])], environment, log + ".ours.log")
        said = about(peer, python_of(peer, options), programs_of(peer, options))
        for name in tests:
            size = TESTS[name]
            if size[1] > 1 and options.decode_prompt:
                size = (options.decode_prompt, *size[1:])
            if size[0] + size[1] > most + 1:
                put(name, {"not_run": f"the model has {most} positions"})
                continue
            try:
                for side in (ours, theirs):
                    side.measure(short_of(size))
                pairs = []
                for turn in range(options.pairs):
                    sides = (ours, theirs) if turn % 2 else (theirs, ours)
                    rates = {side: side.measure(size) for side in sides}
                    pairs.append((rates[ours], rates[theirs]))
                put(name, {"ours": spread([a for a, _ in pairs]), "theirs": spread([b for _, b in pairs]),
                           "ratio": spread([a / b for a, b in pairs]), "pairs": len(pairs),
                           "size": size, "threads": options.threads, "peer": said,
                           "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime())})
            except Failed as error:
                if ours.process.poll() is not None or theirs.process.poll() is not None:
                    raise
                put(name, {"not_run": str(error)})
    finally:
        for side in (ours, theirs):
            if side is not None:
                side.close()


def print_table(results, keys):
    print(f"{'peer':<18} {'model':<15} {'type':<5} {'test':<13} {'ours tok/s':>26} {'theirs tok/s':>26} "
          f"{'ours / theirs':>20} pairs")
    for key in keys:
        peer, model, kind, test = key.split("/")
        cell = results.cells.get(key, {"not_run": "not yet"})
        begin = f"{peer:<18} {model:<15} {kind:<5} {test:<13}"
        if "ratio" not in cell:
            print(f"{begin} not run: {cell['not_run']}")
            continue
        def text(name, digits):
            median, least, most = cell[name]
            return f"{median:.{digits}f} ({least:.{digits}f} - {most:.{digits}f})"
        print(f"{begin} {text('ours', 1):>26} {text('theirs', 1):>26} {text('ratio', 2):>20} "
              f"{cell['pairs']:>5}")


def chosen(text, known, parser, what):
    names = text.split(",") if text else list(known)
    for name in names:
        if name not in known:
            parser.error(f"{what} {name}: expected some of {', '.join(known)}")
    return names


def add_common_options(parser):
    parser.add_argument("--work", required=True, help="folder for environments, models and results")
    parser.add_argument("--tensormill", required=True, help="the program")
    parser.add_argument("--smollm2", help="folder of SmolLM2-135M")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--env", action="append", default=[], metavar="PEER=PYTHON",
                        help="an interpreter that has the peer, in place of an environment of its own")
    parser.add_argument("--programs", action="append", default=[], metavar="NAME=FOLDER",
                        help="where llama.cpp or ik_llama.cpp was built (the folder, or the one above its bin)")
    parser.add_argument("--again", action="store_true", help="run cells that are done, too")
    parser.add_argument("--table", action="store_true", help="only print what there is")


def prepare(options):
    options.work, options.tensormill = map(os.path.abspath, (options.work, options.tensormill))
    os.makedirs(options.work, exist_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = [*shapes.SHAPES, shapes.REAL]
    add_common_options(parser)
    parser.add_argument("--peers", help=", ".join(PEERS))
    parser.add_argument("--models", help=", ".join(models))
    parser.add_argument("--formats", help=", ".join(FORMATS) + " (default: bf16, f32)", default="bf16,f32")
    parser.add_argument("--tests", help=", ".join(TESTS))
    parser.add_argument("--decode-prompt", type=int,
                        help="tokens of a prompt in decode rows (default: 128); fewer save time where models are large")
    options = parser.parse_args()
    prepare(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that both programs are ended
    results = Results(os.path.join(options.work, "results.json"))
    tests = chosen(options.tests, TESTS, parser, "--tests")
    keys = []
    for peer in chosen(options.peers, PEERS, parser, "--peers"):
        for model in chosen(options.models, models, parser, "--models"):
            for kind in chosen(options.formats, FORMATS, parser, "--formats"):
                group = f"{peer}/{model}/{kind}"
                keys += [f"{group}/{test}" for test in tests]
                left = [test for test in tests if options.again or not results.done(f"{group}/{test}")]
                if options.table or not left:
                    continue
                print(f"{group}: {len(left)} cells", file=sys.stderr, flush=True)
                try:
                    compare_group(peer, model, kind, left, options,
                                  lambda test, cell, at=group: results.put(f"{at}/{test}", cell))
                except Failed as error:
                    for test in left:
                        if not results.done(f"{group}/{test}"):
                            results.put(f"{group}/{test}", {"not_run": str(error)})
    print_table(results, keys)


if __name__ == "__main__":
    main()
