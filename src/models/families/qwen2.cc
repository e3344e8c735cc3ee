#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_qwen2(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 32768;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = true;
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  stack.final_norm = read_rms_norm(config);
  add_layers(stack, pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm),
             read_late_windows(config, read_layer_count(config)));
  if (config.flag("use_mrope", false)) config.unsupported("use_mrope", "false");
  // Other programs attend in chunks with it, far beyond the training length; the reference doesn't.
  config.without_effect({"dual_chunk_attention_config"});
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
