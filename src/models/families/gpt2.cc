#include "models/families/families.h"
#include "models/gpt_like.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// Weights are stored [inner, outputs].
Names names() {
  constexpr bool kTransposed = true;
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"wpe", Role::kPositions},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.c_attn", Role::kQueryKeyValue, 0, kTransposed},
           {"h.{L}.attn.c_proj", Role::kAttentionOut, 0, kTransposed},
           {"h.{L}.ln_2", Role::kNormIn, 1},
           {"h.{L}.mlp.c_fc", Role::kUp, 1, kTransposed},
           {"h.{L}.mlp.c_proj", Role::kDown, 1, kTransposed},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.bias", "h.{L}.attn.masked_bias"}};
}

}  // namespace

FamilyModel describe_gpt2(ConfigReader& config) {
  TransformerSpec spec = read_gpt_decoder(config, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.position_rows = spec.max_positions;
  AttentionSpec attention = read_gpt_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = true;
  const float scale = config.flag("scale_attn_weights", true) ? attention.scale : 1;
  const bool by_layer = config.flag("scale_attn_by_inverse_layer_idx", false);
  MlpSpec mlp = read_gpt_mlp(config, stack.width);
  mlp.activation = read_activation(config, "activation_function", "gelu_new");
  stack.final_norm = read_gpt_norm(config);
  stack.layers = uniform_layers(read_gpt_layers(config));
  for (size_t layer = 0; layer < (by_layer ? stack.layers.size() : 1); ++layer) {
    attention.scale = scale / static_cast<float>(layer + 1);
    stack.kinds.push_back(pre_norm_layer(attention, mlp, stack.final_norm));
    stack.layers[layer].kind = static_cast<uint16_t>(layer);
  }
  pass_gpt_keys(config);
  // Asks for the float32 scores that are always computed here.
  config.without_effect({"reorder_and_upcast_attn"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
