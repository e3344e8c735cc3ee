#pragma once

#include <cstdint>
#include <vector>

#include "models/load_progress.h"
#include "models/weight_plan.h"

namespace tensormill {

struct LoadContext {
  const KernelTable& kernels;
  Stream stream;
  Device& device;
  const LoadProgress& progress;
};

// Fills allocated weights from a verified plan, each tensor read once and written once in its final
// form, and then released.
void fill_weights(ModelWeights& weights, const TransformerSpec& spec,
                  const std::vector<PlannedTensor>& plan, const TensorIndex& checkpoint,
                  const LoadContext& context);

// Fills what no checkpoint holds: sinusoidal positions (row r of width 2n: sin(r * f_i), then
// cos(r * f_i), f_i = 10000^(-i / (n - 1)); an odd width ends with 0).
void fill_computed(ModelWeights& weights, const TransformerSpec& spec);

// Fills allocated weights with normal(0, 0.02) from a fixed seed, norms with 1; biases and shifts
// stay 0.
void fill_random(ModelWeights& weights, const TransformerSpec& spec, const LoadContext& context);

}  // namespace tensormill
