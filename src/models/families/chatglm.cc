#include <cmath>

#include "models/common_config.h"
#include "models/families/families.h"
#include "models/row_maps.h"

namespace tensormill {
namespace {

Names first_names() {
  return {"transformer.",
          {{"word_embeddings", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.attention.query_key_value", Role::kQueryKeyValue, 0, false, rows_by_group},
           {"layers.{L}.attention.dense", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.dense_h_to_4h", Role::kUp, 1},
           {"layers.{L}.mlp.dense_4h_to_h", Role::kDown, 1},
           {"final_layernorm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.attention.rotary_emb.inv_freq"}};
}

// Tokens of the ids that say where the prompt has its blank and where the answer starts.
BlankSpec read_blanks(ConfigReader& config) {
  BlankSpec blanks;
  blanks.start = config.integer("bos_token_id", 0, kMaxVocabulary);
  blanks.masks = {config.integer("gmask_token_id", 0, kMaxVocabulary),
                  config.integer("mask_token_id", 0, kMaxVocabulary)};
  blanks.by_kind = true;
  return blanks;
}

// The first generation: half of a head turns by the position of the blank, half by the count of
// tokens written; the residual goes on from the norms.
FamilyModel describe_first(ConfigReader& config) {
  if (!config.flag("position_encoding_2d", true)) {
    config.unsupported("position_encoding_2d", "true");
  }
  TransformerSpec spec;
  spec.max_positions = config.integer("max_sequence_length", 1, kMaxPositions, 2048);
  spec.head.tied = config.flag("tie_word_embeddings", true);
  spec.axes = 2;
  spec.blanks = read_blanks(config);
  StackSpec stack;
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  const char* eps = config.has("layernorm_epsilon") ? "layernorm_epsilon" : "layer_norm_eps";
  const NormSpec norm{NormKind::kLayer, config.number(eps, 0, 1, 1e-5F), true};
  stack.final_norm = norm;

  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.dim =
      even_head_dim(config, "hidden_size", stack.width, "num_attention_heads", attention.heads);
  if (attention.dim % 4 != 0) {
    config.fail("num_attention_heads", "heads of a multiple of 4 values: two axes turn pairs");
  }
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = true;
  attention.rope.dim = attention.dim / 2;
  attention.rope.axes = 2;
  attention.rope.theta = 10000;
  attention.rope.f16 = true;
  attention.mask.prefix = true;

  MlpSpec mlp;
  mlp.width = config.integer("inner_hidden_size", 1, kMaxInnerWidth, 4 * stack.width);
  mlp.activation = Activation::kGeluTanh;
  mlp.bias = true;

  // The reference takes the published model's 28 layers, whatever num_layers says.
  constexpr float kTrainedLayers = 28;
  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  for (BranchSpec* branch : {&first, &second}) {
    branch->in = norm;
    branch->keep_in = true;
    branch->carry = std::sqrt(2 * kTrainedLayers);
  }
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(config.integer("num_layers", 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  config.without_effect({"use_cache"});
  return {std::move(spec), first_names()};
}

Names later_names(bool grouped) {
  return {"transformer.",
          {{"embedding.word_embeddings", Role::kEmbedding},
           {"encoder.layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"encoder.layers.{L}.self_attention.query_key_value", Role::kQueryKeyValue, 0, false,
            grouped ? nullptr : rows_by_group},
           {"encoder.layers.{L}.self_attention.dense", Role::kAttentionOut, 0},
           {"encoder.layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"encoder.layers.{L}.mlp.dense_h_to_4h", Role::kGateUp, 1},
           {"encoder.layers.{L}.mlp.dense_4h_to_h", Role::kDown, 1},
           {"encoder.final_layernorm", Role::kFinalNorm},
           {"output_layer", Role::kHead}},
          {"rotary_pos_emb.inv_freq"}};
}

AttentionSpec read_attention(ConfigReader& config, int32_t width, bool bias) {
  constexpr float kTheta = 10000, kMaxRatio = 1e6;
  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.dim = config.has("kv_channels") ? config.integer("kv_channels", 1, kMaxHeadDim)
                                            : even_head_dim(config, "hidden_size", width,
                                                            "num_attention_heads", attention.heads);
  if (config.flag("multi_query_attention", false)) {
    attention.kv_heads = config.integer("multi_query_group_num", 1, attention.heads, 1);
    if (attention.heads % attention.kv_heads != 0) {
      config.fail("multi_query_group_num", "a divisor of num_attention_heads");
    }
  }
  if (attention.dim % 4 != 0) config.fail("kv_channels", "a multiple of 4: half of it turns");
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = config.flag("add_qkv_bias", false) || bias;
  attention.out_bias = bias;
  attention.rope.dim = attention.dim / 2;
  attention.rope.neighbours = true;
  attention.rope.theta = kTheta * config.number("rope_ratio", 1e-3, kMaxRatio, 1.0F);
  return attention;
}

// From the second generation on: causal, grouped heads, half of a head turns in pairs.
FamilyModel describe_later(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("seq_length", 1, kMaxPositions, 2048);
  spec.head.tied = config.flag("tie_word_embeddings", false);
  StackSpec stack;
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("padded_vocab_size", 1, kMaxVocabulary);
  const bool rms = config.flag("rmsnorm", true);
  const NormSpec norm{rms ? NormKind::kRms : NormKind::kLayer,
                      config.number("layernorm_epsilon", 0, 1, 1e-5F), !rms};
  if (config.flag("post_layer_norm", true)) stack.final_norm = norm;

  const bool bias = config.flag("add_bias_linear", false);
  const AttentionSpec attention = read_attention(config, stack.width, bias);
  MlpSpec mlp;
  mlp.width = config.integer("ffn_hidden_size", 1, kMaxInnerWidth);
  mlp.activation = Activation::kSilu;
  mlp.gated = true;
  mlp.bias = bias;
  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.in = second.in = norm;
  first.keep_in = second.keep_in = config.flag("apply_residual_connection_post_layernorm", false);
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(config.integer("num_layers", 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  config.without_effect({"apply_query_key_layer_scaling", "attention_softmax_in_fp32",
                         "bias_dropout_fusion", "fp32_residual_connection", "original_rope",
                         "multi_query_group_num", "vocab_size", "interleaved_qkv", "use_flash_attn",
                         "num_hidden_layers", "output_features"});
  return {std::move(spec), later_names(attention.kv_heads < attention.heads ||
                                       config.flag("multi_query_attention", false))};
}

}  // namespace

FamilyModel describe_chatglm(ConfigReader& config) {
  if (config.integer("quantization_bit", 0, 64, 0) != 0) {
    config.unsupported("quantization_bit", "0: weights in f32, f16 or bf16");
  }
  if (config.has("pre_seq_len")) config.unsupported("pre_seq_len", "null: no learned prefix");
  config.without_effect({"pre_seq_len", "prefix_projection"});
  return config.has("padded_vocab_size") ? describe_later(config) : describe_first(config);
}

}  // namespace tensormill
