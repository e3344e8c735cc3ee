#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// `sandwich`: norms after the branches too.
FamilyModel describe(ConfigReader& config, bool sandwich) {
  constexpr int32_t kPositions = 131072;
  constexpr float kUsualEps = 1.5625e-7F, kUsualShare = 0.5F;
  TransformerSpec spec = read_decoder(config, kPositions);
  StackSpec& stack = spec.stacks.front();
  const NormSpec norm = read_rms_norm(config, kUsualEps);
  stack.final_norm = norm;
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = config.flag("attention_bias", true);
  const float share = config.number("partial_rotary_factor", 0, 1, kUsualShare);
  attention.rope = read_rope(config, "rope_theta", attention.dim, share, spec.max_positions);
  attention.rope.neighbours = true;
  std::vector<BranchSpec> layer = pre_norm_layer(attention, read_gated_mlp(config), norm);
  if (sandwich) layer[0].out = layer[1].out = norm;
  stack.kinds = {layer};
  stack.layers = uniform_layers(read_layer_count(config));

  Names names = usual_names();
  std::erase_if(names.rows, [](const NameRow& row) {
    return row.role == Role::kGate || row.role == Role::kUp;
  });
  names.rows.push_back({"layers.{L}.mlp.gate_up_proj", Role::kGateUp, 1});
  names.rows.push_back({"layers.{L}.post_self_attn_layernorm", Role::kNormOut, 0});
  names.rows.push_back({"layers.{L}.post_mlp_layernorm", Role::kNormOut, 1});
  return {std::move(spec), std::move(names)};
}

}  // namespace

FamilyModel describe_glm(ConfigReader& config) {
  if (config.has("block_position_encoding")) return describe_glm_blank(config);
  return describe(config, false);
}

FamilyModel describe_glm4(ConfigReader& config) {
  return describe(config, true);
}

}  // namespace tensormill
