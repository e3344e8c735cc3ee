#include <cmath>

#include "models/common_config.h"
#include "models/families/families.h"
#include "models/row_maps.h"

namespace tensormill {
namespace {

Names names() {
  return {"gpt_neox.",
          {{"embed_in", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.attention.query_key_value", Role::kQueryKeyValue, 0, false, rows_by_group},
           {"layers.{L}.attention.dense", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.dense_h_to_4h", Role::kUp, 1},
           {"layers.{L}.mlp.dense_4h_to_h", Role::kDown, 1},
           {"final_layer_norm", Role::kFinalNorm},
           {"embed_out", Role::kHead}},
          {"layers.{L}.attention.bias", "layers.{L}.attention.masked_bias",
           "layers.{L}.attention.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

}  // namespace

FamilyModel describe_gpt_neox(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxPositions, 2048);
  spec.head.tied = config.flag("tie_word_embeddings", false);
  StackSpec stack;
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  const NormSpec norm{NormKind::kLayer, config.number("layer_norm_eps", 0, 1, 1e-5F), true};
  stack.final_norm = norm;

  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.dim =
      even_head_dim(config, "hidden_size", stack.width, "num_attention_heads", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", true);
  constexpr float kUsualShare = 0.25F;
  const float share = config.number("rotary_pct", 0, 1, kUsualShare);
  const char* theta_key = config.has("rotary_emb_base") ? "rotary_emb_base" : "rope_theta";
  attention.rope = read_rope(config, theta_key, attention.dim, share, spec.max_positions);

  MlpSpec mlp;
  mlp.width = config.integer("intermediate_size", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "hidden_act", "gelu");
  mlp.bias = true;

  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.in = second.in = norm;
  first.with_next = config.flag("use_parallel_residual", true);
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(config.integer("num_hidden_layers", 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  config.without_effect({"rotary_emb_base", "rope_theta", "partial_rotary_factor"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
