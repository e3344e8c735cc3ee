#pragma once

#include "models/weights.h"
#include "models/workspace.h"

namespace tensormill {

// Where a part of a step runs.
struct StepContext {
  const KernelTable& kernels;
  Stream stream;
  const Workspace::Arrays& arrays;
  Live rows;
};

// Routes rows by the router's logits in arrays.router, then out = before (or 0) + what their
// experts make of `in`. `in`: [rows, width]; `before` and `out`: [rows, width] each.
void run_experts(const StepContext& step, const MlpSpec& spec, const BranchWeights& weights,
                 const Rows& in, const float* before, float* out);

}  // namespace tensormill
