#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "artifacts/float_types.h"
#include "models/megatron_family.h"

namespace tensormill {

// One tensor of the Hugging Face model and where the ranks keep it.
struct MegatronTensor {
  struct Part {
    const NamedTensor* tensor;
    const TensorIndex* index;
  };
  std::string name, source;
  std::vector<Part> parts;  // by tensor rank; one where all have the same
  MegatronSize row_size = MegatronSize::kNone, column_size = MegatronSize::kNone;
  MegatronSplit split = MegatronSplit::kNone;
  bool transposed = false;
  int64_t rows = 0, columns = 1;  // of all parts together, as Megatron-LM has them
};

struct MegatronPlan {
  const MegatronCheckpoint* checkpoint;  // must outlive it
  MegatronSizes sizes;                   // `vocabulary` and `heads` come from the family's config()
  std::vector<MegatronTensor> tensors;   // in ascending order of names
};

// Finds every tensor of the model and checks that names and shapes fit each other.
// Errors: kUnsupported (a tensor that the family doesn't have); kArtifactInvalid (one that is
// missing, or whose shape contradicts another's).
MegatronPlan plan_megatron(const MegatronCheckpoint& checkpoint);

// Writes the model to one safetensors file, as `type` or, without it, as stored. Holds a few MiB at
// a time. Errors: kArtifactInvalid naming the tensor.
void write_megatron(const MegatronPlan& plan, std::optional<DType> type,
                    const std::filesystem::path& file, const Progress& progress);

}  // namespace tensormill
