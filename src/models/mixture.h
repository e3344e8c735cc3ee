#pragma once

// What decoders with experts share.

#include <string_view>
#include <vector>

#include "models/common_config.h"
#include "models/names.h"
#include "models/spec.h"

namespace tensormill {

// `count_key` and num_experts_per_tok: softmax of all, no groups. A count of 0: no experts.
ExpertsSpec read_experts(ConfigReader& config, std::string_view count_key, int32_t usual_count,
                         int32_t usual_active);

// Which layers have experts by decoder_sparse_step and mlp_only_layers.
std::vector<bool> read_sparse_layers(ConfigReader& config, int32_t layers);

// The MLP branch after an attention branch, and a parallel one that reads the same rows: for every
// row, or weighed by the sigmoid of a router of its own.
std::vector<BranchSpec> with_shared(std::vector<BranchSpec> layer, const MlpSpec& shared);

// A layer for each of `sparse`, with weights of its own: `mixture` where it is true, else `dense`.
void add_mixed_layers(StackSpec& stack, const std::vector<BranchSpec>& dense,
                      const std::vector<BranchSpec>& mixture, const std::vector<bool>& sparse);

// "layers.{L}.mlp.experts.{E}.gate_proj" and so on, of branch 1, and its router
// "layers.{L}.mlp.gate".
void add_expert_names(Names& names);

}  // namespace tensormill
