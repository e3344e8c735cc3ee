#pragma once

// What decoders with experts share.

#include <string_view>
#include <vector>

#include "models/common_config.h"
#include "models/names.h"
#include "models/spec.h"

namespace tensormill {

// `count_key` and num_experts_per_tok: softmax of all, no groups. A count of 0: no experts.
// `usual`: what files without the key mean, 0 that they must have it.
ExpertsSpec read_experts(ConfigReader& config, std::string_view count_key, int32_t usual_count,
                         int32_t usual_active);

// Which layers have experts by decoder_sparse_step and mlp_only_layers.
std::vector<bool> read_sparse_layers(ConfigReader& config, int32_t layers);

// Which layers have experts by first_k_dense_replace and moe_layer_freq.
std::vector<bool> read_late_sparse_layers(ConfigReader& config, int32_t layers);

// n_routed_experts, num_experts_per_tok, routed_scaling_factor, and n_group and topk_group where
// `grouped`. A count of 0: no experts.
ExpertsSpec read_routed_experts(ConfigReader& config, bool grouped);

// The MLP branch after an attention branch, and a parallel one that reads the same rows: for every
// row, or weighed by the sigmoid of a router of its own.
std::vector<BranchSpec> with_shared(std::vector<BranchSpec> layer, const MlpSpec& shared);

// A layer for each of `sparse`, with weights of its own: `mixture` where it is true, else `dense`.
void add_mixed_layers(StackSpec& stack, const std::vector<BranchSpec>& dense,
                      const std::vector<BranchSpec>& mixture, const std::vector<bool>& sparse);

// "layers.{L}.mlp.experts.{E}.gate_proj" and so on, of branch 1, and its router
// "layers.{L}.mlp.gate".
void add_expert_names(Names& names);

// All layers of a decoder with routed experts beside n_shared_experts that every row takes: dense
// ones by intermediate_size, the others by moe_intermediate_size, and the names of their tensors.
void add_routed_layers(ConfigReader& config, const AttentionSpec& attention,
                       const ExpertsSpec& experts, StackSpec& stack, Names& names);

}  // namespace tensormill
