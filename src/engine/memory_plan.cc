#include "engine/memory_plan.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "base/error.h"
#include "engine/scheduler.h"

namespace tensormill {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
constexpr int64_t kShare = 60;  // percent of the host's available memory
constexpr int64_t kKeptForSharing = 4;
constexpr int64_t kMostBlocks = std::numeric_limits<int32_t>::max() / 4;  // ids have 32 bits

std::optional<int64_t> number_in(const std::string& file) {
  std::ifstream in(file);
  int64_t value = 0;
  if (!(in >> value)) return std::nullopt;  // "max", or no such file
  return value;
}

// The value after `name` in a file of "name value" or "name: value kB" lines.
std::optional<int64_t> field_in(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with(name)) continue;
    std::istringstream rest(line.substr(name.size()));
    int64_t value = 0;
    if (rest >> value) return value;
  }
  return std::nullopt;
}

int64_t left_in_group(const std::string& folder, const char* limit, const char* used) {
  const auto most = number_in(folder + "/" + limit);
  const auto now = number_in(folder + "/" + used);
  if (!most || !now) return kUnlimited;
  const int64_t cached = field_in(folder + "/memory.stat", "inactive_file ").value_or(0);
  return std::max<int64_t>(0, *most - std::max<int64_t>(0, *now - cached));
}

// Of a control group and all that hold it, down from /sys/fs/cgroup.
int64_t left_in_groups(const std::string& root) {
  const std::string base = root + "/sys/fs/cgroup";
  int64_t left =
      std::min(left_in_group(base, "memory.max", "memory.current"),
               left_in_group(base + "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"));
  std::ifstream groups(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {  // "0::/path" (v2) or "9:memory:/path" (v1)
    const bool v2 = line.starts_with("0::");
    const size_t path = line.find(":/");
    if (path == std::string::npos || (!v2 && line.find(":memory:") == std::string::npos)) continue;
    for (std::string group = line.substr(path + 1); group.size() > 1;
         group.resize(group.rfind('/'))) {
      left = std::min(left, v2 ? left_in_group(base + group, "memory.max", "memory.current")
                               : left_in_group(base + "/memory" + group, "memory.limit_in_bytes",
                                               "memory.usage_in_bytes"));
    }
  }
  return left;
}

int64_t asked_blocks(const EngineOptions& options, int64_t block_bytes) {
  const int64_t blocks = options.cache_bytes / block_bytes;
  if (blocks == 0) {
    throw_error(ErrorKind::kConfigInvalid,
                "cache_bytes: {} bytes of KV cache don't hold one block of {} bytes",
                options.cache_bytes, block_bytes);
  }
  return blocks;
}

int64_t room_for_cache(const EngineOptions& options, const CacheMemory& memory) {
  if (memory.total == 0) return memory.available / 100 * kShare;
  const double kept = static_cast<double>(memory.total) * (1 - options.gpu_memory_utilization);
  return std::max<int64_t>(0, memory.available - static_cast<int64_t>(kept));
}

std::string too_little(const EngineOptions& options, int64_t needed, int64_t room,
                       const CacheMemory& memory) {
  const std::string needs =
      fmt::format("max_tokens: one sequence of {} tokens needs {} bytes of KV cache",
                  options.max_tokens, needed);
  if (memory.total == 0) {
    return fmt::format("{}, but only {} bytes of memory are available; lower max_tokens", needs,
                       memory.available);
  }
  return fmt::format(
      "{}, but {} has only {} bytes for it: gpu_memory_utilization is {} of {} bytes, the weights "
      "take {}, a step's activations {}, and {} are free; lower max_tokens or raise "
      "gpu_memory_utilization",
      needs, memory.device, room, options.gpu_memory_utilization, memory.total, memory.weights,
      memory.workspace, memory.available);
}

}  // namespace

int64_t available_memory(const std::string& root) {
  const int64_t system =
      field_in(root + "/proc/meminfo", "MemAvailable:").value_or(kUnlimited / 1024) * 1024;
  return std::min(system, left_in_groups(root));
}

CachePlan plan_cache(const EngineOptions& options, int64_t bytes_per_token,
                     const CacheMemory& memory) {
  const int64_t block_bytes = bytes_per_token * kBlockTokens;
  const int64_t sequence = Scheduler::blocks_for(options.max_tokens);
  const int64_t enough = sequence * options.max_sequences;
  int64_t blocks = 0;
  if (bytes_per_token == 0) {
    blocks = enough;
  } else if (options.cache_bytes > 0) {
    blocks = asked_blocks(options, block_bytes);
  } else {
    const int64_t room = room_for_cache(options, memory);
    if (room / block_bytes < sequence) {
      throw Error(ErrorKind::kOutOfMemory,
                  too_little(options, sequence * block_bytes, room, memory));
    }
    const bool keeps_more = memory.total > 0 && options.prefix_sharing;
    blocks = std::min(room / block_bytes, enough * (keeps_more ? kKeptForSharing : 1));
  }
  blocks = std::min(blocks, kMostBlocks);
  return {static_cast<int32_t>(blocks), blocks * block_bytes};
}

int32_t least_blocks(const EngineOptions& options, int64_t bytes_per_token) {
  if (options.cache_bytes == 0 || bytes_per_token == 0) {
    return Scheduler::blocks_for(options.max_tokens);
  }
  return static_cast<int32_t>(
      std::min(asked_blocks(options, bytes_per_token * kBlockTokens), kMostBlocks));
}

}  // namespace tensormill
