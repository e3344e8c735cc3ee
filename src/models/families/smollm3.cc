#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// Whether each layer has rotary positions.
std::vector<bool> read_turning_layers(ConfigReader& config, int32_t layers) {
  constexpr int32_t kUsualInterval = 4;
  const int32_t interval = config.integer("no_rope_layer_interval", 1, kMaxLayers, kUsualInterval);
  std::vector<bool> turns;
  for (int32_t i = 1; i <= layers; ++i) turns.push_back(i % interval != 0);
  if (!config.has("no_rope_layers")) return turns;
  const std::vector<int32_t> given = config.ids("no_rope_layers");
  if (given.size() != turns.size()) config.fail("no_rope_layers", "a number for each layer");
  for (size_t i = 0; i < given.size(); ++i) turns[i] = given[i] != 0;
  return turns;
}

}  // namespace

// llama with layers that know no positions. (no_rope_layers says 1 where a layer has them.)
FamilyModel describe_smollm3(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 32768, true);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  if (!config.has("rope_parameters") && !config.has("rope_theta")) {
    config.fail("rope_theta", "the base of rotary positions");
  }
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  MlpSpec mlp = read_gated_mlp(config);
  mlp.bias = config.flag("mlp_bias", false);
  stack.final_norm = read_rms_norm(config);
  stack.kinds.push_back(pre_norm_layer(attention, mlp, stack.final_norm));
  attention.rope = {};
  stack.kinds.push_back(pre_norm_layer(attention, mlp, stack.final_norm));
  const int32_t layers = read_layer_count(config);
  stack.layers = uniform_layers(layers);
  const std::vector<bool> turns = read_turning_layers(config, layers);
  for (size_t i = 0; i < turns.size(); ++i) stack.layers[i].kind = turns[i] ? 0 : 1;
  if (config.flag("use_sliding_window", false)) config.unsupported("use_sliding_window", "false");
  read_layer_windows(config, 0, std::vector<int32_t>(turns.size(), 0));
  config.without_effect({"sliding_window", "max_window_layers", "pretraining_tp"});
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
