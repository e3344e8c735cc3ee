#include "models/families/families.h"
#include "models/latent_config.h"
#include "models/llama_like.h"
#include "models/mixture.h"

namespace tensormill {
namespace {

ExpertsSpec read_choice(ConfigReader& config) {
  const std::string method = config.text("topk_method", "greedy");
  if (method != "greedy" && method != "group_limited_greedy") {
    config.unsupported("topk_method", "greedy, group_limited_greedy");
  }
  if (config.text("scoring_func", "softmax") != "softmax") {
    config.unsupported("scoring_func", "softmax");
  }
  ExpertsSpec experts = read_routed_experts(config, method != "greedy");
  // The authors' code scales weights or makes them sum to 1, never both.
  experts.normalize = config.flag("norm_topk_prob", false) && experts.active > 1;
  if (experts.normalize) experts.scale = 1;
  return experts;
}

}  // namespace

FamilyModel describe_deepseek_v2(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 2048;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  stack.final_norm = read_rms_norm(config);
  const AttentionSpec attention = read_latent_attention(config, spec.max_positions);
  if (config.flag("mlp_bias", false)) config.unsupported("mlp_bias", "false");
  Names names = latent_names(attention);
  add_routed_layers(config, attention, read_choice(config), stack, names);
  config.without_effect({"pretraining_tp"});
  return {std::move(spec), std::move(names)};
}

}  // namespace tensormill
