#include "models/mixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tensormill {

ExpertsSpec read_experts(ConfigReader& config, std::string_view count_key, int32_t usual_count,
                         int32_t usual_active) {
  ExpertsSpec experts;
  experts.count = config.integer(count_key, 0, kMaxExperts, usual_count);
  experts.active = config.integer("num_experts_per_tok", 1, kMaxExperts, usual_active);
  if (experts.count == 1) config.unsupported(count_key, "0 or more than 1");
  if (experts.count > 0 && experts.active > experts.count) {
    config.fail("num_experts_per_tok", fmt::format("at most {}", count_key));
  }
  // Losses and noise of training.
  config.without_effect({"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"});
  return experts;
}

std::vector<bool> read_sparse_layers(ConfigReader& config, int32_t layers) {
  const int32_t step = config.integer("decoder_sparse_step", 1, kMaxLayers, 1);
  std::vector<bool> sparse;
  for (int32_t i = 0; i < layers; ++i) sparse.push_back((i + 1) % step == 0);
  for (const int32_t dense : config.ids("mlp_only_layers")) {
    if (dense < layers) sparse[static_cast<size_t>(dense)] = false;
  }
  return sparse;
}

std::vector<BranchSpec> with_shared(std::vector<BranchSpec> layer, const MlpSpec& shared) {
  layer.back().with_next = true;
  BranchSpec& branch = layer.emplace_back();
  branch.body = shared;
  branch.shares_in = true;
  return layer;
}

void add_mixed_layers(StackSpec& stack, const std::vector<BranchSpec>& dense,
                      const std::vector<BranchSpec>& mixture, const std::vector<bool>& sparse) {
  int32_t kinds[2] = {-1, -1};
  for (const bool mixed : sparse) {
    int32_t& kind = kinds[mixed ? 1 : 0];
    if (kind < 0) {
      kind = static_cast<int32_t>(stack.kinds.size());
      stack.kinds.push_back(mixed ? mixture : dense);
    }
    const auto number = static_cast<uint16_t>(stack.layers.size());
    stack.layers.push_back({static_cast<uint16_t>(kind), number});
  }
}

void add_expert_names(Names& names) {
  for (const NameRow& row : {NameRow{"layers.{L}.mlp.gate", Role::kRouter, 1},
                             NameRow{"layers.{L}.mlp.experts.{E}.gate_proj", Role::kGate, 1},
                             NameRow{"layers.{L}.mlp.experts.{E}.up_proj", Role::kUp, 1},
                             NameRow{"layers.{L}.mlp.experts.{E}.down_proj", Role::kDown, 1}}) {
    names.rows.push_back(row);
  }
}

}  // namespace tensormill
