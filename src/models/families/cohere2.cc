#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// Notes of published files that no released code follows otherwise.
void refuse_variants(ConfigReader& config) {
  for (const char* key : {"use_gated_activation", "use_parallel_block"}) {
    if (!config.flag(key, true)) config.unsupported(key, "true");
  }
  const std::string order = config.text("order_of_interleaved_layers", "local_attn_first");
  if (order != "local_attn_first") {
    config.unsupported("order_of_interleaved_layers", "local_attn_first");
  }
  const std::string positions = config.text("position_embedding_type", "rope_gptj");
  if (positions != "rope_gptj") config.unsupported("position_embedding_type", "rope_gptj");
  if (config.number("rotary_pct", 0, 1, 1) != 1) config.unsupported("rotary_pct", "1");
}

}  // namespace

// Most layers have a window and rotary positions, the others see all keys and have none.
FamilyModel describe_cohere2(ConfigReader& config) {
  constexpr double kLeastScale = 1e-6, kMostScale = 1e6;
  constexpr int32_t kUsualWindow = 4096, kUsualPeriod = 4;
  TransformerSpec spec = read_decoder(config, 8192, true);
  StackSpec& stack = spec.stacks.front();
  stack.final_norm = read_layer_norm(config, false);
  AttentionSpec attention = read_heads(config, stack.width);
  if (attention.dim * attention.heads != stack.width) {
    config.fail("head_dim", "hidden_size / num_attention_heads");
  }
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  attention.rope.neighbours = true;
  const auto layer = parallel_layer(attention, read_gated_mlp(config), stack.final_norm);
  const int32_t window = read_window(config, kUsualWindow), layers = read_layer_count(config);
  const int32_t period = config.integer("sliding_window_pattern", 1, kMaxLayers, kUsualPeriod);
  add_layers(stack, layer,
             read_layer_windows(config, window, interleaved_windows(layers, window, period)));
  for (std::vector<BranchSpec>& kind : stack.kinds) {
    auto& of_kind = std::get<AttentionSpec>(kind.front().body);
    if (of_kind.mask.window == 0) of_kind.rope = {};
  }
  spec.head.scale = config.number("logit_scale", kLeastScale, kMostScale, 0.0625F);
  refuse_variants(config);
  config.without_effect({"cache_implementation", "layer_switch", "use_embedding_sharing",
                         "use_parallel_embedding", "_sliding_window_pattern"});
  Names names = usual_names();
  names.buffers.clear();  // no file has any
  return {std::move(spec), std::move(names)};
}

}  // namespace tensormill
