#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "artifacts/tensor_index.h"
#include "artifacts/torch_tree.h"

namespace tensormill {

// What one rank of a Megatron-LM training saved.
struct MegatronRank {
  std::string origin;                  // its file, for messages
  std::unique_ptr<TensorIndex> model;  // names as below the key "model"; views may be unaligned
};

// A checkpoint of Megatron-LM: every rank's share of the model, and what it was trained with.
struct MegatronCheckpoint {
  std::string origin;
  std::vector<std::filesystem::path> beside;  // folders for config.json and the tokenizer's files
  double version = 0;                         // checkpoint_version
  bool has_args = false;
  PlainValues args;
  size_t tensor_ranks = 0, pipeline_ranks = 0;
  std::vector<MegatronRank> ranks;  // [pipeline rank][tensor rank]

  const MegatronRank& rank(size_t pipeline, size_t tensor) const {
    return ranks[pipeline * tensor_ranks + tensor];
  }
  // An argument; null when the file has none of this name.
  const PlainValue* arg(std::string_view name) const;
};

// True for what open_megatron_checkpoint() takes, as far as names and first bytes say.
bool is_megatron_checkpoint(const std::filesystem::path& path);

// Opens model_optim_rng.pt (a file), the folder of its ranks (mp_rank_00, mp_rank_01 ... or
// mp_rank_00_000: tensor and pipeline rank), the folder of a training (release/ or iter_*/, with
// latest_checkpointed_iteration.txt), or a zip archive of such a folder. Of each file the model and
// the arguments alone are read. Errors: kNotFound; kArtifactInvalid (a missing rank, ranks that
// disagree); kUnsupported (a version that isn't known).
MegatronCheckpoint open_megatron_checkpoint(const std::filesystem::path& path);

}  // namespace tensormill
