#!/usr/bin/env python3
"""Checks the rules that keep the sources in order; prints each breach and exits 1 if there is one.

- #include lines follow the arrows of docs/architecture.md.
- No identifier or string literal equal to a model_type outside models/families, models/registry.cc
  and tokenizer/.
- No #ifdef for a device or an instruction set outside kernels, comm and tensor.
- No line over 100 columns, no file over 600 lines.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

ALLOWED = {
    "base": set(),
    "tensor": set(),
    "config": set(),
    "tokenizer": set(),
    "kernels": {"tensor"},
    "artifacts": {"tensor"},
    "comm": {"tensor"},
    "ops": {"kernels", "tensor"},
    "quant": {"ops", "tensor"},
    "sampling": {"ops", "tensor"},
    "nn": {"quant", "ops", "kernels", "comm", "tensor"},
    "models": {"nn", "ops", "kernels", "quant", "artifacts", "comm", "tensor"},
    "engine": {"models", "quant", "nn", "kernels", "sampling", "comm", "tokenizer", "tensor"},
    "diffusion": {"models", "nn", "ops", "artifacts", "tokenizer", "tensor"},
    "tasks": {"engine", "diffusion", "models", "kernels", "artifacts", "tokenizer", "sampling", "nn",
              "tensor"},
    "server": {"tasks", "engine", "models", "artifacts", "config", "tokenizer", "sampling"},
    "cli": None,
}
# Headers that others than ops may see: the contract structs, what a stream is on a CPU, and how a
# GPU is opened; never a kernel.
KERNEL_HEADERS = {"kernels/table.h", "kernels/cpu_stream.h", "kernels/cuda.h"}
# The pause instruction of spin loops: a hint to the processor, not a choice of device.
ARCHITECTURE_HEADERS = {"base/spin.h"}
MAX_LINES, MAX_COLUMNS = 600, 100


def sources():
    for suffix in ("*.h", "*.cc", "*.cu", "*.cuh", "*.inl"):
        yield from sorted(SRC.rglob(suffix))


def check_includes(path, text, fail):
    module = path.relative_to(SRC).parts[0]
    if path.parent == SRC:
        return
    if module not in ALLOWED:
        fail(path, 1, f"folder {module}/ is not in the list of layers")
        return
    allowed = ALLOWED[module]
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#include\s+"([^"]+)"', line)
        if not match or allowed is None:
            continue
        target = match.group(1)
        other = target.split("/")[0]
        if other in (module, "base"):
            continue
        if other not in allowed:
            fail(path, number, f"{module} must not include {target}")
        elif other == "kernels" and target not in KERNEL_HEADERS:
            fail(path, number, f"only kernels/ sees {target}; others take " +
                 " or ".join(sorted(KERNEL_HEADERS)))


def family_names():
    """model_type strings of the registry: {"llama", ...}."""
    registry = SRC / "models" / "registry.cc"
    if not registry.exists():
        return set()
    return set(re.findall(r'\{\s*"([a-z0-9_-]+)"', registry.read_text()))


def strip_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def check_names(path, text, names, fail):
    place = path.relative_to(SRC).as_posix()
    if place.startswith(("models/families/", "models/registry", "tokenizer/")) or not names:
        return
    word = re.compile(r"(?<![A-Za-z0-9_.-])(" + "|".join(map(re.escape, sorted(names))) +
                      r")(?![A-Za-z0-9_.-])")
    for number, line in enumerate(strip_comments(text).splitlines(), 1):
        if line.lstrip().startswith("#include"):
            continue
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
            if literal in names:
                fail(path, number, f'family name "{literal}" outside models/families')
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
        match = word.search(bare)
        if match:
            fail(path, number, f"family name {match.group(1)} outside models/families")


def check_devices(path, text, fail):
    module = path.relative_to(SRC).parts[0]
    if module in ("kernels", "comm", "tensor"):
        return
    if path.relative_to(SRC).as_posix() in ARCHITECTURE_HEADERS:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b.*(CUDA|AVX|__x86_64__|__aarch64__)", line):
            fail(path, number, "device conditional outside kernels, comm and tensor")


def check_size(path, text, fail):
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        fail(path, len(lines), f"{len(lines)} lines, at most {MAX_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            fail(path, number, f"{len(line)} columns, at most {MAX_COLUMNS}")


def main():
    problems = []

    def fail(path, line, message):
        problems.append(f"{path.relative_to(ROOT)}:{line}: {message}")

    names = family_names()
    count = 0
    for path in sources():
        text = path.read_text()
        count += 1
        check_includes(path, text, fail)
        check_names(path, text, names, fail)
        check_devices(path, text, fail)
        check_size(path, text, fail)
    for problem in problems:
        print(problem)
    print(f"check_sources.py: {count} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
