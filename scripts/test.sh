#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Needs no GPU and no network beyond the package
# registries. TENSORMILL_TEST_DATA=DIR adds the cases that need data too big for the repository.
#   SKIP_INSTALL=1  do not look for system packages
#   QUICK=1         release tests only: no sanitizers, no fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

if [ -z "${SKIP_INSTALL:-}" ]; then
  say "Packages"
  scripts/install-deps.sh --test
fi

say "Sources: layering, names, format"
python3 tools/check_sources.py
find src tests fuzz bench tools -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' | xargs clang-format-14 --dry-run -Werror

if [ -n "${TENSORMILL_TEST_DATA:-}" ] && [ -f "$TENSORMILL_TEST_DATA/tokenizers.tar.xz" ]; then
  mkdir -p build/test-data
  tar -xJf "$TENSORMILL_TEST_DATA/tokenizers.tar.xz" -C build/test-data
  TENSORMILL_TEST_DATA=$PWD/build/test-data
  export TENSORMILL_TEST_DATA
fi

say "Lint what changed lately (scripts/lint.sh alone looks at everything)"
mapfile -t recent < <(git log -n 12 --name-only --pretty=format: -- 'src/*.cc' 2>/dev/null | sort -u |
  while read -r file; do [ -f "$file" ] && echo "$file"; done | head -n 30)
if [ ${#recent[@]} -gt 0 ]; then scripts/lint.sh "${recent[@]}"; fi

say "Build release"
cmake --preset release -DBUILD_TESTING=ON >/dev/null
cmake --build --preset release
say "Test release"
ctest --preset release -j "$(nproc)"

if [ -n "${QUICK:-}" ]; then
  say "Done"
  exit 0
fi

# One build by the second compiler serves the sanitized tests and the fuzz targets.
say "Build with Clang, AddressSanitizer, UndefinedBehaviorSanitizer and fuzz targets"
cmake --preset fuzz -DBUILD_TESTING=ON >/dev/null
cmake --build --preset fuzz
say "Test with sanitizers"
ctest --preset fuzz -j "$(nproc)"

say "Fuzz each parser briefly"
scripts/fuzz.sh 5
say "Done"
