#include <cmath>

#include "models/alibi.h"
#include "models/common_config.h"
#include "models/families/families.h"
#include "models/row_maps.h"

namespace tensormill {
namespace {

// How the norms of a layer stand.
enum class Layer : uint8_t { kSequential, kOneNorm, kTwoNorms };

// The folders that call themselves so know no other.
bool is_new(ConfigReader& config) {
  return config.flag("new_decoder_architecture", config.text("model_type") == "RefinedWeb");
}

Layer read_layer(ConfigReader& config, bool is_new) {
  const bool parallel = config.flag("parallel_attn", true);
  const int32_t norms = config.integer("num_ln_in_parallel_attn", 1, 2, is_new ? 2 : 1);
  if (is_new && !parallel) {
    config.unsupported("parallel_attn", "true where new_decoder_architecture is true");
  }
  if (!is_new && norms == 2) {
    config.unsupported("num_ln_in_parallel_attn", "1 where new_decoder_architecture is false");
  }
  if (!parallel) return Layer::kSequential;
  return norms == 1 ? Layer::kOneNorm : Layer::kTwoNorms;
}

// One row order holds all of them: one group for all heads, or one for each.
int32_t read_kv_heads(ConfigReader& config, bool is_new, int32_t heads) {
  const bool one = config.flag("multi_query", true);
  const int32_t groups = read_integer(config, {"num_kv_heads", "n_head_kv"}, 1, kMaxHeads, heads);
  if (!is_new) return one ? 1 : heads;
  if (heads % groups != 0) config.fail("num_kv_heads", "a divisor of num_attention_heads");
  return groups;
}

AttentionSpec read_attention(ConfigReader& config, bool is_new, int32_t width,
                             int32_t max_positions) {
  AttentionSpec attention;
  attention.heads = read_integer(config, {"num_attention_heads", "n_head"}, 1, kMaxHeads);
  attention.kv_heads = read_kv_heads(config, is_new, attention.heads);
  attention.dim =
      even_head_dim(config, "hidden_size", width, "num_attention_heads", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  if (config.flag("alibi", false)) {
    attention.bias = {alibi_slopes(attention.heads), true, true};
    config.without_effect({"rope_theta", "rope_scaling", "rope_parameters"});
  } else {
    attention.rope = read_rope(config, "rope_theta", attention.dim, 1, max_positions);
  }
  return attention;
}

Names names(Layer layer) {
  const bool two = layer == Layer::kTwoNorms;
  return {"transformer.",
          {{"word_embeddings", Role::kEmbedding},
           {two ? "h.{L}.ln_attn" : "h.{L}.input_layernorm", Role::kNormIn, 0},
           {"h.{L}.self_attention.query_key_value", Role::kQueryKeyValue, 0, false, rows_by_group},
           {"h.{L}.self_attention.dense", Role::kAttentionOut, 0},
           {two ? "h.{L}.ln_mlp" : "h.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"h.{L}.mlp.dense_h_to_4h", Role::kUp, 1},
           {"h.{L}.mlp.dense_4h_to_h", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.self_attention.maybe_rotary.inv_freq", "h.{L}.self_attention.rotary_emb.inv_freq",
           "h.{L}.self_attention.rotary.inv_freq"}};
}

}  // namespace

FamilyModel describe_falcon(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxPositions, 2048);
  spec.head.tied = config.flag("tie_word_embeddings", true);
  StackSpec stack;
  stack.width = read_integer(config, {"hidden_size", "n_embed"}, 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  const NormSpec norm{NormKind::kLayer, config.number("layer_norm_epsilon", 0, 1, 1e-5F), true};
  stack.final_norm = norm;
  const bool biased = config.flag("bias", false), newer = is_new(config);
  const Layer layer = read_layer(config, newer);

  AttentionSpec attention = read_attention(config, newer, stack.width, spec.max_positions);
  attention.qkv_bias = attention.out_bias = biased;
  MlpSpec mlp;
  mlp.width = config.integer("ffn_hidden_size", 1, kMaxInnerWidth, 4 * stack.width);
  mlp.activation = read_activation(config, "activation", "gelu");
  mlp.bias = biased;

  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.in = norm;
  first.with_next = layer != Layer::kSequential;
  second.shares_in = layer == Layer::kOneNorm;
  if (!second.shares_in) second.in = norm;
  stack.kinds = {{first, second}};
  stack.layers =
      uniform_layers(read_integer(config, {"num_hidden_layers", "n_layer"}, 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  // The first is left over from another family's code; the second repeats ffn_hidden_size.
  config.without_effect({"apply_residual_connection_post_layernorm", "ff_factor"});
  return {std::move(spec), names(layer)};
}

}  // namespace tensormill
