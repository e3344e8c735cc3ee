#include <cmath>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_gemma(ConfigReader& config) {
  constexpr int32_t kUsualHeadDim = 256;
  TransformerSpec spec = read_decoder(config, 8192, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.scale = std::sqrt(static_cast<float>(stack.width));
  stack.embedding.scale_rounds = true;
  AttentionSpec attention = read_heads(config, stack.width, kUsualHeadDim);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  MlpSpec mlp = read_gated_mlp(config, "gelu_pytorch_tanh");
  if (config.has("hidden_activation")) {
    mlp.activation = read_activation(config, "hidden_activation", "");
  } else if (mlp.activation == Activation::kGelu) {
    mlp.activation = Activation::kGeluTanh;  // the first files say "gelu" and mean this
  }
  config.without_effect({"hidden_activation"});  // null
  stack.final_norm = read_rms_norm(config);
  stack.final_norm.one_plus = true;
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
