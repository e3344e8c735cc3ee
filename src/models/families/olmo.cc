#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

// llama with norms that have no weights.
FamilyModel describe_olmo(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  stack.final_norm = {NormKind::kLayer, 1e-5F, false, false};
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  if (config.has("clip_qkv")) attention.clip = config.number("clip_qkv", 1e-6, 1e6);
  config.without_effect({"clip_qkv"});  // null
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  stack.kinds = {pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
