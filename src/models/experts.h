#pragma once

#include "models/step_context.h"
#include "models/weights.h"

namespace tensormill {

// Routes rows by the router's logits in arrays.router, then out = before (or 0) + what their
// experts make of `in`. `in`: [rows, width]; `before` and `out`: [rows, width] each.
void run_experts(const StepContext& step, const MlpSpec& spec, const BranchWeights& weights,
                 const Rows& in, const float* before, float* out);

}  // namespace tensormill
