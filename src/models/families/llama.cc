#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_llama(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 2048;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  MlpSpec mlp = read_gated_mlp(config);
  mlp.bias = config.flag("mlp_bias", false);
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  if (config.flag("rope_interleaved", false)) config.unsupported("rope_interleaved", "false");
  // pretraining_tp only splits sums; the others are notes by makers of checkpoints.
  config.without_effect({"pretraining_tp", "is_llama_config", "bias"});
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
