#!/usr/bin/env bash
# Builds the `cuda` preset and runs the tests that use an NVIDIA GPU on one; last comes a table of
# what ran. Logs are in build/gpu-test/.
# usage: scripts/gpu-test.sh [--quick] [--bench]
#   --quick    no compute-sanitizer
#   --bench    also measures two models of random weights
#   BUILD=DIR  runs the programs of this build folder; builds nothing
#   LIMIT=S    seconds that a test may take under a sanitizer, otherwise 600
#   SHARDS=N   processes for one test program; otherwise one a core, 16 at most
set -euo pipefail
cd "$(dirname "$0")/.."

quick='' bench=''
for argument in "$@"; do
  case $argument in
    --quick) quick=1 ;;
    --bench) bench=1 ;;
    *)
      echo "usage: scripts/gpu-test.sh [--quick] [--bench]" >&2
      exit 2
      ;;
  esac
done

need() {
  echo "gpu-test.sh: $*" >&2
  exit 1
}
PATH=$PATH:/usr/local/cuda/bin
compgen -G '/dev/nvidia[0-9]*' >/dev/null || need "there is no NVIDIA GPU here (/dev/nvidia0)"
nvidia-smi -L >/dev/null || need "nvidia-smi finds no GPU: is the driver installed?"
if [ -z "${BUILD:-}" ]; then
  command -v "${CUDACXX:-nvcc}" >/dev/null ||
    need "there is no nvcc: install the CUDA toolkit, or name a built folder with BUILD=DIR"
fi
if [ -z "$quick" ]; then
  command -v compute-sanitizer >/dev/null ||
    need "there is no compute-sanitizer (a part of the CUDA toolkit); --quick does without"
fi

build=${BUILD:-build/cuda}
logs=build/gpu-test
mkdir -p "$logs"
shards=${SHARDS:-$(($(nproc) < 16 ? $(nproc) : 16))}
limit=${LIMIT:-600}
names=() times=() results=()

# part NAME COMMAND...: runs one part; a failure shows the end of its log, and the others still run.
part() {
  local name=$1 start=$SECONDS result=ok open
  shift
  printf '\n== %s\n' "$name"
  if ! "$@" >"$logs/$name.log" 2>&1; then
    result=FAILED
    tail -n 40 "$logs/$name.log"
  fi
  open=$(grep -c '^not ended: ' "$logs/$name.log" || true)
  if [ "$open" -gt 0 ]; then result+=", $open tests not ended in ${limit} s"; fi
  names+=("$name")
  times+=($((SECONDS - start)))
  results+=("$result")
  [ "${result:0:2}" = ok ]
}

build_all() {
  cmake --preset cuda -DBUILD_TESTING=ON && cmake --build --preset cuda
}

# sharded NAME COMMAND...: runs a test program in several processes, each with its share of the
# tests: references in double precision on the host take longer than the GPU's part.
sharded() {
  local name=$1 shard failed=0 pids=()
  shift
  for ((shard = 0; shard < shards; ++shard)); do
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard "$@" >"$logs/$name.$shard.log" 2>&1 &
    pids+=($!)
  done
  for shard in "${!pids[@]}"; do
    if ! wait "${pids[shard]}"; then
      failed=1
      tail -n 40 "$logs/$name.$shard.log"
    fi
  done
  return "$failed"
}

# Tests of what only CPUs promise take their time and show a sanitizer of GPU code nothing.
cpu_only='*KeepTheirBits*:*KeepsBits*:*KeepsTheOrderOfSums*:*BitForBit*:Levels.*'

# sanitized TOOL PROGRAM FILTER: each test by itself under one tool of compute-sanitizer. A test
# that takes longer than the limit has shown nothing: it is named, and the part says how many.
sanitized() {
  local tool=$1 program=$build/tests/$2 filter=$3-$cpu_only
  mapfile -t tests < <("$program" --gtest_list_tests --gtest_filter="$filter" |
    awk '/^[^ ].*\./ { suite = $1 } /^  / { print suite $1 }')
  if [ ${#tests[@]} -eq 0 ]; then
    echo "no test of $program is $filter"
    return 1
  fi
  export -f one_sanitized
  export tool program limit logs
  printf '%s\n' "${tests[@]}" | xargs -P "$shards" -I{} bash -c 'one_sanitized "$1"' _ {}
}

one_sanitized() {
  local log=$logs/$tool.${1//\//-}.log status=0
  TENSORMILL_TEST_DEVICE=cuda timeout "$limit" compute-sanitizer --tool "$tool" \
    --error-exitcode 1 --require-cuda-init no --print-limit 20 \
    "$program" --gtest_filter="$1" >"$log" 2>&1 || status=$?
  if [ "$status" -eq 124 ]; then
    echo "not ended: $1"
  elif [ "$status" -ne 0 ]; then
    echo "failed: $1"
    tail -n 40 "$log"
    return 1
  else
    echo "clean: $1"
  fi
}

# racecheck is slow: of each kernel a test that goes through its ways with shared memory.
race='Residual.*OfAGpu:Embed.*:Gather.*:Route.Chooses*:Sample.Says*:Linear.Many*:Linear.ScaleAndCap'
race+=':Linear.AddsInPlace:Attention.Score*:*HalfAttention.Score*:ToCache.HalfQueries*'

# A GPU that the tests can't use would leave every kernel test passed and nothing tested.
kernels_tests() {
  local there
  there=$("$build/tests/kernels_tests" --gtest_filter=Gpu.IsThere)
  if ! grep -q 'PASSED.* 1 test' <<<"$there"; then
    echo "$there"
    return 1
  fi
  sharded kernels "$build/tests/kernels_tests"
}

write_configs() {
  mkdir -p "$logs/llama-2-7b" "$logs/gpt2"
  cat >"$logs/llama-2-7b/config.json" <<'JSON'
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000,
 "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
 "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu",
 "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
 "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16"}
JSON
  cat >"$logs/gpt2/config.json" <<'JSON'
{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_embd": 768,
 "n_layer": 12, "n_head": 12, "n_positions": 1024, "n_ctx": 1024,
 "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "bos_token_id": 50256,
 "eos_token_id": 50256, "torch_dtype": "bfloat16"}
JSON
}

# measure NAME MODEL FLAG...: prompts start in one step each time, so that what follows decodes alone.
measure() {
  local name=$1 model=$2
  shift 2
  part "$name" "$build/tensormill" bench "$logs/$model" --random-weights --dtype bf16 \
    --device cuda --repeat 5 "$@" && cat "$logs/$name.log"
}

measure_all() {
  local decode=(--prompt-tokens 128 --new-tokens 17 --concurrency '1,8,64' --step-tokens 8192)
  write_configs
  measure decode-gpt2 gpt2 "${decode[@]}" || true
  measure decode-7b llama-2-7b "${decode[@]}" || true
  measure prefill-7b-2048 llama-2-7b --prompt-tokens 2048 --new-tokens 1 --concurrency 1 \
    --step-tokens 2048 --pause 1 || true
  measure prefill-7b-8x512 llama-2-7b --prompt-tokens 512 --new-tokens 1 --concurrency 8 \
    --step-tokens 4096 --pause 1 || true
}

if [ -z "${BUILD:-}" ] && ! part build build_all; then
  need "the build failed; see $logs/build.log"
fi
part kernels kernels_tests || true
for name in models engine; do
  part "$name" sharded "$name" env TENSORMILL_TEST_DEVICE=cuda "$build/tests/${name}_tests" || true
done
if [ -n "$bench" ]; then measure_all; fi
if [ -z "$quick" ]; then
  part memcheck sanitized memcheck kernels_tests '*' || true
  part racecheck sanitized racecheck kernels_tests "$race" || true
  part memcheck-models sanitized memcheck models_tests '*Parity.Bf16*' || true
fi

printf '\n%-22s %8s  %s\n' part seconds result
failed=0
for i in "${!names[@]}"; do
  printf '%-22s %8d  %s\n' "${names[i]}" "${times[i]}" "${results[i]}"
  if [ "${results[i]:0:2}" != ok ]; then failed=1; fi
done
exit "$failed"
