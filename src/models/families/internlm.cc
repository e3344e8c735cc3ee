#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

constexpr float kUsualTheta = 10000;

// Newer files say it in `rotary`. The code of older ones knows the usual base alone, whatever else
// they say.
RopeSpec read_rotary(ConfigReader& config, int32_t head_dim, int32_t positions) {
  RopeSpec rope;
  rope.dim = head_dim;
  rope.theta = kUsualTheta;
  if (head_dim % 2 != 0) config.fail("num_attention_heads", "heads of an even number of values");
  if (!config.has("rotary")) return rope;
  ConfigReader rotary = config.object("rotary");
  rope.theta = rotary.number("base", 1, 1e12);
  const std::string type = rotary.text("type");
  if (type == "dynamic") {
    rope.scaling = RopeScaling::kDynamic;
    rope.factor = rotary.number("scaling_factor", 1, 1e6, 1.0F);
    rope.original_length = positions;
  } else if (type != "origin") {
    rotary.unsupported("type", "origin, dynamic");
  }
  return rope;
}

}  // namespace

FamilyModel describe_internlm(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  if (attention.kv_heads != attention.heads) {
    config.unsupported("num_key_value_heads", "as many as num_attention_heads");
  }
  attention.qkv_bias = attention.out_bias = config.flag("bias", true);
  attention.rope = read_rotary(config, attention.dim, spec.max_positions);
  if (config.number("rope_theta", 1, 1e12, kUsualTheta) != kUsualTheta) {
    config.unsupported("rope_theta", "10000, or a base in \"rotary\"");
  }
  if (config.has("rope_scaling")) config.unsupported("rope_scaling", "null");
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  config.without_effect({"pretraining_tp", "rope_scaling"});
  return {std::move(spec), usual_names()};
}

}  // namespace tensormill
