#include <string>

#include "models/families/families.h"
#include "models/gpt_like.h"

namespace tensormill {
namespace {

// Weights are stored [inner, outputs].
Names names() {
  constexpr bool kTransposed = true;
  return {"transformer.",
          {{"tokens_embed", Role::kEmbedding},
           {"positions_embed", Role::kPositions},
           {"h.{L}.attn.c_attn", Role::kQueryKeyValue, 0, kTransposed},
           {"h.{L}.attn.c_proj", Role::kAttentionOut, 0, kTransposed},
           {"h.{L}.ln_1", Role::kNormSum, 0},
           {"h.{L}.mlp.c_fc", Role::kUp, 1, kTransposed},
           {"h.{L}.mlp.c_proj", Role::kDown, 1, kTransposed},
           {"h.{L}.ln_2", Role::kNormSum, 1},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.bias", "position_ids"}};
}

// Names of this family's own: its gelu is the tanh form.
Activation read_afn(ConfigReader& config) {
  const std::string name = config.text("afn", "gelu");
  if (name == "gelu") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  if (name == "silu" || name == "swish") return Activation::kSilu;
  config.unsupported("afn", "gelu, relu, silu, swish");
}

}  // namespace

FamilyModel describe_openai_gpt(ConfigReader& config) {
  TransformerSpec spec = read_gpt_decoder(config, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.position_rows = spec.max_positions;
  AttentionSpec attention = read_gpt_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = true;
  MlpSpec mlp;
  mlp.width = 4 * stack.width;
  mlp.activation = read_afn(config);
  mlp.bias = true;
  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.sum = second.sum = read_gpt_norm(config);
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(read_gpt_layers(config));
  pass_gpt_keys(config);
  return {std::move(spec), names()};
}

}  // namespace tensormill
