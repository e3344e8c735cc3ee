#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

// Norms stand after the branches, and over all queries and all keys.
FamilyModel describe_olmo2(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  const NormSpec norm = stack.final_norm = read_rms_norm(config, 1e-5F);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.q_norm = attention.k_norm = norm;
  attention.norm_span = HeadNorm::kAllHeads;
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  BranchSpec first, second;
  first.body = attention;
  second.body = read_gated_mlp(config);
  first.out = second.out = norm;
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(read_layer_count(config));
  return {std::move(spec), sandwich_names()};
}

}  // namespace tensormill
