#include <algorithm>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_cohere(ConfigReader& config) {
  constexpr double kLeastScale = 1e-6, kMostScale = 1e6;
  TransformerSpec spec = read_decoder(config, 8192, true);
  StackSpec& stack = spec.stacks.front();
  const NormSpec norm = stack.final_norm = read_layer_norm(config, false);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  attention.rope.neighbours = true;
  if (config.flag("use_qk_norm", false)) {
    attention.q_norm = attention.k_norm = norm;
    attention.norm_span = HeadNorm::kEachHead;
  }
  stack.kinds = {parallel_layer(attention, read_gated_mlp(config), norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  spec.head.scale = config.number("logit_scale", kLeastScale, kMostScale, 0.0625F);
  // The first release was made for more positions than its max_position_embeddings.
  const int32_t made_for = config.integer("model_max_length", 1, kMaxPositions, 1);
  spec.max_positions = std::max(spec.max_positions, made_for);
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
