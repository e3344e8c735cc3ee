#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "artifacts/torch_tree.h"

namespace tensormill {

// Where the ranks of a Megatron-LM checkpoint lie.
struct MegatronRanks {
  struct File {
    std::string name;  // "mp_rank_00_000"; of a single file: its own
    size_t tensor = 0, pipeline = 0;
    std::function<TorchTree()> open;
  };
  size_t tensor_ranks = 1, pipeline_ranks = 1;
  std::vector<File> files;                    // [pipeline rank][tensor rank]
  std::vector<std::filesystem::path> beside;  // the folders on the way, the innermost first
};

// Errors: kNotFound; kArtifactInvalid naming the rank that is missing.
MegatronRanks find_megatron_ranks(const std::filesystem::path& path);

}  // namespace tensormill
