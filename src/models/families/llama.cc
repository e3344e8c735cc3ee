#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_llama(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  MlpSpec mlp = read_gated_mlp(config);
  mlp.bias = config.flag("mlp_bias", false);
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  // pretraining_tp only splits sums; the last two are notes by makers of small checkpoints.
  config.without_effect({"pretraining_tp", "rope_interleaved", "is_llama_config"});
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
