#include "models/families/families.h"
#include "models/llama_like.h"
#include "models/mixture.h"

namespace tensormill {

FamilyModel describe_qwen3_moe(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 32768, kUsualExperts = 128, kUsualActive = 8;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  stack.final_norm = read_rms_norm(config);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.q_norm = attention.k_norm = stack.final_norm;
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  // Versions of the reference differ in which layers slide.
  if (config.flag("use_sliding_window", false)) config.unsupported("use_sliding_window", "false");
  config.without_effect({"sliding_window", "max_window_layers"});

  const MlpSpec mlp = read_gated_mlp(config);
  MlpSpec experts = mlp;
  experts.width = config.integer("moe_intermediate_size", 1, kMaxInnerWidth);
  experts.experts = read_experts(config, "num_experts", kUsualExperts, kUsualActive);
  experts.experts.normalize = config.flag("norm_topk_prob", false);
  std::vector<bool> sparse = read_sparse_layers(config, read_layer_count(config));
  if (experts.experts.count == 0) sparse.assign(sparse.size(), false);
  add_mixed_layers(stack, pre_norm_layer(attention, mlp, stack.final_norm),
                   pre_norm_layer(attention, experts, stack.final_norm), sparse);
  Names names = usual_names();
  add_expert_names(names);
  return {std::move(spec), std::move(names)};
}

}  // namespace tensormill
