#pragma once

#include "models/step_context.h"
#include "models/weights.h"

namespace tensormill {

// Norms the residual as `norm` says, and makes of norm.y what to_cache reads, in arrays.qkv: each
// head's query (its turned elements, then the others in the latent's width), then key and value of
// the KV head that all share (see LatentSpec).
void run_latent_products(const StepContext& step, const AttentionSpec& spec,
                         const LatentWeights& weights, const ResidualArgs& norm);

// Each head's value from what it attended, [rows, heads * rank], to [rows, heads * values].
Rows expand_latent(const StepContext& step, const AttentionSpec& spec, const LatentWeights& weights,
                   const Rows& attended);

}  // namespace tensormill
