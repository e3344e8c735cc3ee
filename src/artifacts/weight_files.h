#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tensormill {

// Which files of a folder hold its weights.
struct WeightFiles {
  enum class Form : uint8_t { kSafetensors, kTorch };

  Form form = Form::kSafetensors;
  std::filesystem::path file;  // the weights, or the index of their shards
  bool sharded = false;
  std::string variant;  // "fp16" of model.fp16.safetensors; empty: the plain files
};

// Safetensors win over files of torch.save, one file over an index. Without `variant` a folder that
// has no plain files but files of one variant gives that one, and says so in the log; then a single
// file of any other name counts. Errors: kNotFound when there is nothing of the kind;
// kArtifactInvalid when there is more than one choice.
WeightFiles choose_weight_files(const std::filesystem::path& folder, const std::string& variant);

}  // namespace tensormill
