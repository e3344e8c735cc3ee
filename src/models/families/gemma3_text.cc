#include <cmath>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

constexpr const char* kLocal = "sliding_attention";

// Of layers with a window: never scaled.
RopeSpec read_local_rope(ConfigReader& config, const RopeSpec& global, int32_t positions) {
  if (config.has("rope_parameters") && config.object("rope_parameters").has(kLocal)) {
    return read_rope(config, "rope_theta", global.dim, 1, positions, kLocal);
  }
  RopeSpec rope;
  rope.dim = global.dim;
  rope.theta = config.number("rope_local_base_freq", 1, 1e12, 10000);
  return rope;
}

AttentionSpec read_attention(ConfigReader& config, const TransformerSpec& spec) {
  constexpr int32_t kUsualHeadDim = 256;
  constexpr float kUsualScalar = 256;
  AttentionSpec attention = read_heads(config, spec.stacks.front().width, kUsualHeadDim);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.q_norm = attention.k_norm = spec.stacks.front().final_norm;
  attention.scale = 1 / std::sqrt(config.number("query_pre_attn_scalar", 1e-3, 1e6, kUsualScalar));
  if (config.has("attn_logit_softcapping")) config.unsupported("attn_logit_softcapping", "null");
  if (!config.has("rope_parameters") && !config.has("rope_theta")) {
    config.fail("rope_theta", "the base of the layers without a window");
  }
  attention.rope =
      read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions, "full_attention");
  return attention;
}

int32_t read_period(ConfigReader& config) {
  constexpr int32_t kUsual = 6;
  const char* key =
      config.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
  config.without_effect({"sliding_window_pattern", "_sliding_window_pattern"});
  return config.integer(key, 1, kMaxLayers, kUsual);
}

}  // namespace

// Norms before and after each branch and of queries and keys; most layers have a window, and
// positions of another base.
FamilyModel describe_gemma3_text(ConfigReader& config) {
  constexpr int32_t kUsualWindow = 4096;
  TransformerSpec spec = read_decoder(config, 131072, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.scale = std::sqrt(static_cast<float>(stack.width));
  stack.embedding.scale_rounds = true;
  if (config.has("final_logit_softcapping")) {
    spec.head.softcap = config.number("final_logit_softcapping", 1e-3, 1e6);
  }
  stack.final_norm = read_rms_norm(config);
  stack.final_norm.one_plus = true;
  MlpSpec mlp = read_gated_mlp(config, "gelu_pytorch_tanh");
  mlp.activation = read_activation(config, "hidden_activation", "gelu_pytorch_tanh");
  const AttentionSpec attention = read_attention(config, spec);
  auto layer = pre_norm_layer(attention, mlp, stack.final_norm);
  for (BranchSpec& branch : layer) branch.out = stack.final_norm;
  const int32_t window = read_window(config, kUsualWindow), layers = read_layer_count(config);
  const int32_t period = read_period(config);
  add_layers(stack, layer,
             read_layer_windows(config, window, interleaved_windows(layers, window, period)));
  const RopeSpec local = read_local_rope(config, attention.rope, spec.max_positions);
  for (std::vector<BranchSpec>& kind : stack.kinds) {
    auto& of_kind = std::get<AttentionSpec>(kind.front().body);
    if (of_kind.mask.window > 0) of_kind.rope = local;
  }
  if (config.flag("use_bidirectional_attention", false)) {
    config.unsupported("use_bidirectional_attention", "false");
  }
  config.without_effect({"cache_implementation", "final_logit_softcapping"});
  Names names = sandwich_names();
  names.buffers.clear();  // no file has any
  return {std::move(spec), std::move(names)};
}

}  // namespace tensormill
