#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {

// olmo2 with a window in most layers, whose positions are not scaled.
FamilyModel describe_olmo3(ConfigReader& config) {
  constexpr int32_t kUsualWindow = 4096, kUsualPeriod = 4;
  FamilyModel model = describe_olmo2(config);
  StackSpec& stack = model.spec.stacks.front();
  const auto layers = static_cast<int32_t>(stack.layers.size());
  const std::vector<BranchSpec> layer = stack.kinds.front();
  stack.kinds.clear();
  stack.layers.clear();
  const int32_t window = read_window(config, kUsualWindow);
  add_layers(stack, layer,
             read_layer_windows(config, window, interleaved_windows(layers, window, kUsualPeriod)));
  for (std::vector<BranchSpec>& kind : stack.kinds) {
    auto& attention = std::get<AttentionSpec>(kind.front().body);
    if (attention.mask.window == 0) continue;
    RopeSpec plain;
    plain.dim = attention.rope.dim;
    plain.theta = attention.rope.theta;
    attention.rope = plain;
  }
  return model;
}

}  // namespace tensormill
