#include "models/mixture.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "models/llama_like.h"

namespace tensormill {

ExpertsSpec read_experts(ConfigReader& config, std::string_view count_key, int32_t usual_count,
                         int32_t usual_active) {
  ExpertsSpec experts;
  experts.count = config.integer(count_key, 0, kMaxExperts, usual_count);
  experts.active =
      config.integer("num_experts_per_tok", 1, kMaxExperts,
                     usual_active > 0 ? std::optional<int32_t>(usual_active) : std::nullopt);
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

std::vector<bool> read_late_sparse_layers(ConfigReader& config, int32_t layers) {
  const int32_t first = config.integer("first_k_dense_replace", 0, kMaxLayers, 0);
  const int32_t step = config.integer("moe_layer_freq", 1, kMaxLayers, 1);
  std::vector<bool> sparse;
  for (int32_t i = 0; i < layers; ++i) sparse.push_back(i >= first && i % step == 0);
  return sparse;
}

ExpertsSpec read_routed_experts(ConfigReader& config, bool grouped) {
  ExpertsSpec experts;
  if (!config.has("n_routed_experts")) {
    config.without_effect({"n_routed_experts", "num_experts_per_tok", "n_group", "topk_group",
                           "routed_scaling_factor"});
    return experts;
  }
  experts = read_experts(config, "n_routed_experts", 0, 0);
  constexpr float kMost = 1e6F;
  experts.scale = config.number("routed_scaling_factor", 0, kMost, 1.0F);
  config.without_effect({"n_group", "topk_group", "aux_loss_alpha", "seq_aux", "ep_size"});
  if (!grouped || experts.count == 0) return experts;
  experts.groups = config.integer("n_group", 1, kMaxExperts);
  experts.active_groups = config.integer("topk_group", 1, kMaxExperts);
  if (experts.count % experts.groups != 0) config.fail("n_group", "a divisor of n_routed_experts");
  if (experts.active_groups > experts.groups) config.fail("topk_group", "at most n_group");
  if (experts.active > experts.active_groups * (experts.count / experts.groups)) {
    config.fail("topk_group", "groups with at least num_experts_per_tok experts");
  }
  return experts;
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

void add_routed_layers(ConfigReader& config, const AttentionSpec& attention,
                       const ExpertsSpec& experts, StackSpec& stack, Names& names) {
  const MlpSpec dense = read_gated_mlp(config);
  const std::vector<BranchSpec> plain = pre_norm_layer(attention, dense, stack.final_norm);
  std::vector<bool> sparse = read_late_sparse_layers(config, read_layer_count(config));
  if (experts.count == 0) {
    sparse.assign(sparse.size(), false);
    config.without_effect({"moe_intermediate_size", "n_shared_experts"});
    return add_mixed_layers(stack, plain, plain, sparse);
  }
  MlpSpec routed = dense, shared = dense;
  routed.experts = experts;
  routed.width = config.integer("moe_intermediate_size", 1, kMaxInnerWidth);
  const int32_t count = config.integer("n_shared_experts", 0, kMaxExperts, 0);
  shared.width = routed.width * count;
  std::vector<BranchSpec> mixture = pre_norm_layer(attention, routed, stack.final_norm);
  if (count > 0) mixture = with_shared(std::move(mixture), shared);
  add_mixed_layers(stack, plain, mixture, sparse);
  add_expert_names(names);
  if (count == 0) return;
  for (const NameRow& row : {NameRow{"layers.{L}.mlp.shared_experts.gate_proj", Role::kGate, 2},
                             NameRow{"layers.{L}.mlp.shared_experts.up_proj", Role::kUp, 2},
                             NameRow{"layers.{L}.mlp.shared_experts.down_proj", Role::kDown, 2}}) {
    names.rows.push_back(row);
  }
}

}  // namespace tensormill
