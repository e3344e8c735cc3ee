#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

FamilyModel describe_mistral(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 131072, kUsualWindow = 4096;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  attention.mask.window = read_window(config, kUsualWindow);
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
