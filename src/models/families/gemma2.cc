#include <cmath>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// Absent: the usual cap; null: none.
float read_cap(ConfigReader& config, const char* key, float usual) {
  constexpr double kLeast = 1e-3, kMost = 1e6;
  return config.number(key, kLeast, kMost, config.is_null(key) ? 0 : usual);
}

AttentionSpec read_attention(ConfigReader& config, const TransformerSpec& spec) {
  constexpr int32_t kUsualHeadDim = 256;
  constexpr float kUsualScalar = 256, kUsualCap = 50;
  AttentionSpec attention = read_heads(config, spec.stacks.front().width, kUsualHeadDim);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.scale = 1 / std::sqrt(config.number("query_pre_attn_scalar", 1e-3, 1e6, kUsualScalar));
  attention.softcap = read_cap(config, "attn_logit_softcapping", kUsualCap);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  return attention;
}

}  // namespace

// Norms before and after each branch; every second layer sees all keys.
FamilyModel describe_gemma2(ConfigReader& config) {
  constexpr float kUsualCap = 30;
  constexpr int32_t kUsualWindow = 4096;
  TransformerSpec spec = read_decoder(config, 8192, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.scale = std::sqrt(static_cast<float>(stack.width));
  stack.embedding.scale_rounds = true;
  spec.head.softcap = read_cap(config, "final_logit_softcapping", kUsualCap);
  stack.final_norm = read_rms_norm(config);
  stack.final_norm.one_plus = true;
  MlpSpec mlp = read_gated_mlp(config, "gelu_pytorch_tanh");
  mlp.activation = read_activation(config, "hidden_activation", "gelu_pytorch_tanh");
  auto layer = pre_norm_layer(read_attention(config, spec), mlp, stack.final_norm);
  for (BranchSpec& branch : layer) branch.out = stack.final_norm;
  const int32_t window = read_window(config, kUsualWindow), layers = read_layer_count(config);
  add_layers(stack, layer,
             read_layer_windows(config, window, interleaved_windows(layers, window, 2)));
  config.without_effect({"sliding_window_size", "cache_implementation"});
  return {std::move(spec), sandwich_names()};
}

}  // namespace tensormill
