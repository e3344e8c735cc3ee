#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

// llama with a multiplier at each seam.
FamilyModel describe_granite(ConfigReader& config) {
  constexpr double kMost = 1e6, kLeast = 1e-6;
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.scale = config.number("embedding_multiplier", -kMost, kMost, 1);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.scale = config.number("attention_multiplier", -kMost, kMost, 1);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  MlpSpec mlp = read_gated_mlp(config);
  mlp.bias = config.flag("mlp_bias", false);
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  for (BranchSpec& branch : stack.kinds.front()) {
    branch.scale = config.number("residual_multiplier", -kMost, kMost, 1);
  }
  stack.layers = uniform_layers(read_layer_count(config));
  spec.head.scale = 1 / config.number("logits_scaling", kLeast, kMost, 1);
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
