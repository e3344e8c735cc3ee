#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace tensormill {

// Bytes that this process could still take: the smaller of what the system has and what its control
// group (v1 or v2) leaves, page cache counted as free. Files are read under `root`, for tests.
int64_t available_memory(const std::string& root = "");

struct CachePlan {
  int32_t blocks = 0;
  int64_t bytes = 0;
};

// How many blocks the cache gets. With options.cache_bytes as many as fit; kConfigInvalid where
// that is not one block. With 0 enough for max_sequences of max_tokens, but at most 60 % of
// `available`; kOutOfMemory where that doesn't hold one sequence. Blocks without bytes, of a model
// that caches nothing, are enough for all.
CachePlan plan_cache(const EngineOptions& options, int64_t bytes_per_token, int64_t available);

}  // namespace tensormill
