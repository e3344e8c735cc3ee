#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace tensormill {

// Bytes that this process could still take: the smaller of what the system has and what its control
// group (v1 or v2) leaves, page cache counted as free. Files are read under `root`, for tests.
int64_t available_memory(const std::string& root = "");

// The memory that the cache is made in, once everything else stands there.
struct CacheMemory {
  int64_t available = 0;  // bytes
  // Of a device with memory of its own. The host's (total 0) is shared with all that runs there.
  std::string device;
  int64_t total = 0;
  int64_t weights = 0, workspace = 0;  // bytes that the model and its steps take
};

struct CachePlan {
  int32_t blocks = 0;
  int64_t bytes = 0;
};

// How many blocks the cache gets. With options.cache_bytes as many as fit; kConfigInvalid where
// that is not one block. With 0 enough for max_sequences of max_tokens (on a device whose
// sequences share prefixes four times that, so that more of them are found again), but at most
// 60 % of the host's available memory, or what gpu_memory_utilization leaves of a device's;
// kOutOfMemory where that doesn't hold one sequence. Blocks without bytes, of a model that caches
// nothing, are enough for all.
CachePlan plan_cache(const EngineOptions& options, int64_t bytes_per_token,
                     const CacheMemory& memory);

// Blocks that plan_cache() gives at least, whatever memory there is.
int32_t least_blocks(const EngineOptions& options, int64_t bytes_per_token);

}  // namespace tensormill
