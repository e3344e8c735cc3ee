#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"

namespace tensormill {

// One request of a trace: so many random tokens in, so many out.
struct TraceItem {
  int32_t prompt, output;
};

// Lines of two numbers, "PROMPT OUTPUT". Errors: kNotFound, kBadRequest naming the line.
std::vector<TraceItem> read_trace(const std::string& file);

// Submits all requests at once and waits for the last: how long it took and how many tokens a
// second came out. A full queue is an error: the engine's must hold the trace.
OrderedJson run_trace(Engine& engine, int32_t vocabulary, const std::vector<TraceItem>& trace);

}  // namespace tensormill
