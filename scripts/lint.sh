#!/usr/bin/env bash
# clang-tidy over src/ with the checks of .clang-tidy. A file is looked at again only when it, a
# header of the project or the checks have changed: build/lint/ remembers what was clean.
# usage: scripts/lint.sh [FILE ...]
#   JOBS=2  files at a time
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
tidy=${CLANG_TIDY:-clang-tidy-14}

if [ ! -f build/release/compile_commands.json ]; then
  cmake --preset release >/dev/null
fi
mkdir -p build/lint

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  # Kernels are built once for each instruction set; one look at each file is enough.
  mapfile -t files < <(find src -name '*.cc' | sort)
fi

# Files that this build leaves out (with CUDA or without) have no compile command to be read with.
built=()
for file in "${files[@]}"; do
  if grep -q "/$file\"" build/release/compile_commands.json; then built+=("$file"); fi
done
files=("${built[@]}")

# What every result depends on: the tool, its checks and how files are compiled.
common=$( ("$tidy" --version; cat .clang-tidy CMakePresets.json CMakeLists.txt src/CMakeLists.txt) |
  sha256sum | cut -c1-32)

# Prints a key of the file and of every project header that it includes, directly or not.
key() {
  python3 - "$1" "$common" <<'PY'
import hashlib, re, sys
from pathlib import Path

seen, todo = set(), [Path(sys.argv[1])]
while todo:
    path = todo.pop()
    if path in seen or not path.is_file():
        continue
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
        todo += [Path("src") / name, path.parent / name]
digest = hashlib.sha256(sys.argv[2].encode())
for path in sorted(seen):
    digest.update(path.as_posix().encode() + path.read_bytes())
print(digest.hexdigest()[:32])
PY
}

lint() {
  local stamp
  stamp=build/lint/$(key "$1")
  if [ -f "$stamp" ]; then return 0; fi
  local output
  if output=$("$tidy" -p build/release --extra-arg=-Wno-unknown-warning-option --quiet "$1" 2>&1); then
    touch "$stamp"
    echo "clean: $1"
  else
    grep -v 'warnings generated' <<<"$output"
    return 1
  fi
}
export -f lint key
export tidy common

if printf '%s\0' "${files[@]}" | xargs -0 -P "$jobs" -I{} bash -c 'lint "$1"' _ {}; then
  echo "lint.sh: ${#files[@]} files, clean"
else
  echo "lint.sh: findings above" >&2
  exit 1
fi
