#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/weight_plan.h"

namespace tensormill {

struct LoadContext {
  const KernelTable& kernels;
  Stream stream;
  const std::function<void(const char* stage, int64_t done, int64_t total)>& progress;
};

// Fills allocated weights from a verified plan, each tensor read once and written once in its final
// form.
void fill_weights(ModelWeights& weights, const TransformerSpec& spec,
                  const std::vector<PlannedTensor>& plan, const LoadContext& context);

// Fills allocated weights with normal(0, 0.02) from a fixed seed, norms with 1; biases and shifts
// stay 0.
void fill_random(ModelWeights& weights, const TransformerSpec& spec, const LoadContext& context);

}  // namespace tensormill
