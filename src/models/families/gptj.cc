#include "models/families/families.h"
#include "models/gpt_like.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names names() {
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.q_proj", Role::kQuery, 0},
           {"h.{L}.attn.k_proj", Role::kKey, 0},
           {"h.{L}.attn.v_proj", Role::kValue, 0},
           {"h.{L}.attn.out_proj", Role::kAttentionOut, 0},
           {"h.{L}.mlp.fc_in", Role::kUp, 1},
           {"h.{L}.mlp.fc_out", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.bias", "h.{L}.attn.masked_bias"}};
}

}  // namespace

FamilyModel describe_gptj(ConfigReader& config) {
  TransformerSpec spec = read_gpt_decoder(config, false);
  spec.head.bias = true;
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_gpt_heads(config, stack.width);
  if (!config.flag("rotary", true)) config.unsupported("rotary", "true");
  attention.rope = read_neighbours_rope(config, attention.dim);
  MlpSpec mlp = read_gpt_mlp(config, stack.width);
  mlp.activation = read_activation(config, "activation_function", "gelu_new");
  stack.final_norm = read_gpt_norm(config);
  stack.kinds = {parallel_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_gpt_layers(config));
  pass_gpt_keys(config);
  config.without_effect({"scale_attn_weights"});  // the reference scales in any case
  return {std::move(spec), names()};
}

}  // namespace tensormill
