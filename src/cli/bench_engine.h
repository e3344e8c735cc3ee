#pragma once

#include <cstdint>
#include <random>

#include "base/json.h"
#include "cli/bench_memory.h"
#include "engine/engine.h"

namespace tensormill {

// Include it in .cc files only.

// Requests of random tokens that come at once: so many, each of so many tokens in and out.
struct BenchRow {
  int32_t prompt_tokens, new_tokens, concurrency;
};

// How a row is measured: `warm_up` runs that don't count, then `repeat` that do, each after a
// pause.
struct BenchRuns {
  int32_t warm_up, repeat;
  double pause;  // seconds
};

// Runs a row on the engine alone: medians and spreads of prompt tokens a second (until the last
// request's first token), tokens a second and time of the steps after that. Errors: kInternal where
// a request fails.
OrderedJson measure_row(const BenchRow& row, const BenchRuns& runs, Engine& engine,
                        int32_t vocabulary, AnonymousPeak& memory);

}  // namespace tensormill
