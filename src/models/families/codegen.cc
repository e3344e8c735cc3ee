#include <fmt/format.h>

#include "models/families/families.h"
#include "models/gpt_like.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// The product's rows lie in groups of heads; a group holds its queries, then values, then keys.
template <int32_t kGroups>
int32_t by_group(const AttentionSpec& attention, int32_t row) {
  constexpr int32_t kPlace[] = {0, 2, 1};  // of queries, keys and values
  const int32_t part = row / attention.query_rows();
  const int32_t within = row % attention.query_rows();
  const int32_t size = attention.query_rows() / kGroups;
  return (within / size * 3 + kPlace[part]) * size + within % size;
}

Names names(RowMap rows) {
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.qkv_proj", Role::kQueryKeyValue, 0, false, rows},
           {"h.{L}.attn.out_proj", Role::kAttentionOut, 0},
           {"h.{L}.mlp.fc_in", Role::kUp, 1},
           {"h.{L}.mlp.fc_out", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.causal_mask", "h.{L}.attn.bias", "h.{L}.attn.masked_bias"}};
}

}  // namespace

FamilyModel describe_codegen(ConfigReader& config) {
  TransformerSpec spec = read_gpt_decoder(config, false);
  spec.head.bias = true;
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_gpt_heads(config, stack.width);
  // Files of the second generation name head_dim, and their groups are twice as many.
  const bool second = config.has("head_dim");
  const int32_t groups = second ? 8 : 4;
  if (second && config.integer("head_dim", 1, kMaxHeadDim) != attention.dim) {
    config.fail("head_dim", "n_embd / n_head");
  }
  config.without_effect({"head_dim"});  // null
  if (attention.heads % groups != 0) {
    config.fail("n_head", fmt::format("a multiple of {}, the groups of heads", groups));
  }
  attention.rope = read_neighbours_rope(config, attention.dim);
  MlpSpec mlp = read_gpt_mlp(config, stack.width);
  mlp.activation = read_activation(config, "activation_function", "gelu_new");
  stack.final_norm = read_gpt_norm(config);
  stack.kinds = {parallel_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_gpt_layers(config));
  pass_gpt_keys(config);
  config.without_effect({"scale_attn_weights"});  // the reference scales in any case
  return {std::move(spec), names(second ? by_group<8> : by_group<4>)};
}

}  // namespace tensormill
