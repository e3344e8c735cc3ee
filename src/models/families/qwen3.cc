#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_qwen3(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 32768, kUsualHeadDim = 128;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  stack.final_norm = read_rms_norm(config);
  AttentionSpec attention = read_heads(config, stack.width, kUsualHeadDim);
  attention.q_norm = attention.k_norm = stack.final_norm;
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  add_layers(stack, pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm),
             read_late_windows(config, read_layer_count(config)));
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
