#include "models/families/families.h"
#include "models/llama_like.h"
#include "models/mixture.h"

namespace tensormill {
namespace {

Names names() {
  Names names = usual_names();
  add_expert_names(names);
  for (const NameRow& row : {NameRow{"layers.{L}.mlp.shared_expert_gate", Role::kRouter, 2},
                             NameRow{"layers.{L}.mlp.shared_expert.gate_proj", Role::kGate, 2},
                             NameRow{"layers.{L}.mlp.shared_expert.up_proj", Role::kUp, 2},
                             NameRow{"layers.{L}.mlp.shared_expert.down_proj", Role::kDown, 2}}) {
    names.rows.push_back(row);
  }
  return names;
}

}  // namespace

FamilyModel describe_qwen2_moe(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 32768, kUsualExperts = 60, kUsualActive = 4;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = config.flag("qkv_bias", true);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  // Versions of the reference differ in which layers slide.
  if (config.flag("use_sliding_window", false)) config.unsupported("use_sliding_window", "false");
  config.without_effect({"sliding_window", "max_window_layers"});
  stack.final_norm = read_rms_norm(config);

  const MlpSpec mlp = read_gated_mlp(config);
  MlpSpec experts = mlp, shared = mlp;
  experts.width = config.integer("moe_intermediate_size", 1, kMaxInnerWidth);
  experts.experts = read_experts(config, "num_experts", kUsualExperts, kUsualActive);
  experts.experts.normalize = config.flag("norm_topk_prob", false);
  shared.width = config.integer("shared_expert_intermediate_size", 1, kMaxInnerWidth);
  shared.experts.count = shared.experts.active = 1;
  shared.experts.score = ExpertScore::kSigmoid;
  std::vector<bool> sparse = read_sparse_layers(config, read_layer_count(config));
  if (experts.experts.count == 0) sparse.assign(sparse.size(), false);
  add_mixed_layers(stack, pre_norm_layer(attention, mlp, stack.final_norm),
                   with_shared(pre_norm_layer(attention, experts, stack.final_norm), shared),
                   sparse);
  return {std::move(spec), names()};
}

}  // namespace tensormill
