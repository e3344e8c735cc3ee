#include "models/families/families.h"
#include "models/latent_config.h"
#include "models/llama_like.h"
#include "models/mixture.h"

namespace tensormill {
namespace {

ExpertsSpec read_choice(ConfigReader& config) {
  if (config.text("topk_method", "noaux_tc") != "noaux_tc") {
    config.unsupported("topk_method", "noaux_tc");
  }
  if (config.text("scoring_func", "sigmoid") != "sigmoid") {
    config.unsupported("scoring_func", "sigmoid");
  }
  ExpertsSpec experts = read_routed_experts(config, true);
  if (experts.count == 0) config.fail("n_routed_experts", "2 or more");
  experts.score = ExpertScore::kSigmoid;
  experts.bias = true;
  experts.group_best = 2;
  if (experts.count / experts.groups < experts.group_best) {
    config.fail("n_group", "groups of at least 2 of n_routed_experts");
  }
  experts.normalize = config.flag("norm_topk_prob", true);
  return experts;
}

}  // namespace

FamilyModel describe_deepseek_v3(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 4096;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  stack.final_norm = read_rms_norm(config);
  AttentionSpec attention = read_latent_attention(config, spec.max_positions);
  attention.rope.neighbours = config.flag("rope_interleave", true);
  Names names = latent_names(attention);
  add_routed_layers(config, attention, read_choice(config), stack, names);
  names.rows.push_back({"layers.{L}.mlp.gate.e_score_correction_bias", Role::kRouterBias, 1});
  // A layer that guesses further tokens stands after the model's own in the largest checkpoints.
  constexpr size_t kLargest = 61;
  if (stack.layers.size() == kLargest) names.buffers.emplace_back("model.layers.61.*");
  config.without_effect({"pretraining_tp", "num_nextn_predict_layers"});
  return {std::move(spec), std::move(names)};
}

}  // namespace tensormill
