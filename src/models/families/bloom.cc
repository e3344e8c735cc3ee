#include <cmath>

#include "models/alibi.h"
#include "models/common_config.h"
#include "models/families/families.h"
#include "models/row_maps.h"

namespace tensormill {
namespace {

Names names() {
  return {"transformer.",
          {{"word_embeddings", Role::kEmbedding},
           {"word_embeddings_layernorm", Role::kEmbeddingNorm},
           {"h.{L}.input_layernorm", Role::kNormIn, 0},
           {"h.{L}.self_attention.query_key_value", Role::kQueryKeyValue, 0, false, rows_by_group},
           {"h.{L}.self_attention.dense", Role::kAttentionOut, 0},
           {"h.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"h.{L}.mlp.dense_h_to_4h", Role::kUp, 1},
           {"h.{L}.mlp.dense_4h_to_h", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {}};
}

}  // namespace

FamilyModel describe_bloom(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("seq_length", 1, kMaxPositions, 2048);
  spec.head.tied = config.flag("tie_word_embeddings", true);
  StackSpec stack;
  stack.width = read_integer(config, {"hidden_size", "n_embed"}, 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  const NormSpec norm{NormKind::kLayer, config.number("layer_norm_epsilon", 0, 1, 1e-5F), true};
  stack.embedding.norm = stack.final_norm = norm;

  AttentionSpec attention;
  attention.heads = attention.kv_heads =
      read_integer(config, {"n_head", "num_attention_heads"}, 1, kMaxHeads);
  attention.dim = even_head_dim(config, "hidden_size", stack.width, "n_head", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = true;
  attention.bias.slopes = alibi_slopes(attention.heads);

  MlpSpec mlp;
  mlp.width = 4 * stack.width;
  if (config.has("n_inner") && config.integer("n_inner", 1, kMaxInnerWidth) != mlp.width) {
    config.unsupported("n_inner", "four times the width");
  }
  mlp.activation = Activation::kGeluTanh;
  mlp.bias = true;

  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.in = second.in = norm;
  first.keep_in = second.keep_in = config.flag("apply_residual_connection_post_layernorm", false);
  stack.kinds = {{first, second}};
  stack.layers =
      uniform_layers(read_integer(config, {"n_layer", "num_hidden_layers"}, 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  // Notes of how training fused and split its kernels.
  config.without_effect({"attention_softmax_in_fp32", "bias_dropout_fusion",
                         "masked_softmax_fusion", "skip_bias_add", "skip_bias_add_qkv",
                         "offset_alibi", "pretraining_tp", "slow_but_exact", "n_inner"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
