#pragma once

#include <functional>
#include <string>

#include "artifacts/tensor_index.h"
#include "models/registry.h"
#include "models/weights.h"

namespace tensormill {

struct LoadContext {
  const KernelTable& kernels;
  Stream stream;
  const std::function<void(const char* stage, int64_t done, int64_t total)>& progress;
};

// Fills the weights of `model` from a checkpoint, each tensor read once and written once in its
// final form. format: none takes the widest of the stored matrices. Errors: kArtifactInvalid naming
// every tensor that is missing, unused or misshapen, before anything is allocated; kOutOfMemory.
ModelWeights load_weights(const FamilyModel& model, const TensorIndex& checkpoint,
                          std::optional<WeightFormat> format, const LoadContext& context);

// Weights of the same shapes: normal(0, 0.02) from a fixed seed, norms 1, biases and shifts 0.
ModelWeights random_weights(const TransformerSpec& spec, WeightFormat format,
                            const LoadContext& context);

}  // namespace tensormill
