#include "models/gpt_like.h"

#include <cmath>

namespace tensormill {

TransformerSpec read_gpt_decoder(ConfigReader& config, bool tied) {
  TransformerSpec spec;
  spec.max_positions = config.integer("n_positions", 1, kMaxPositions);
  spec.head.tied = config.flag("tie_word_embeddings", tied);
  StackSpec& stack = spec.stacks.emplace_back();
  stack.width = config.integer("n_embd", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  return spec;
}

AttentionSpec read_gpt_heads(ConfigReader& config, int32_t width) {
  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("n_head", 1, kMaxHeads);
  attention.dim = even_head_dim(config, "n_embd", width, "n_head", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  return attention;
}

MlpSpec read_gpt_mlp(ConfigReader& config, int32_t width) {
  MlpSpec mlp;
  mlp.width = config.integer("n_inner", 1, kMaxInnerWidth, 4 * width);
  mlp.bias = true;
  return mlp;
}

NormSpec read_gpt_norm(ConfigReader& config) {
  return {NormKind::kLayer, config.number("layer_norm_epsilon", 0, 1, 1e-5F), true};
}

int32_t read_gpt_layers(ConfigReader& config) {
  return config.integer("n_layer", 1, kMaxLayers);
}

void pass_gpt_keys(ConfigReader& config) {
  config.without_effect({"n_ctx", "resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_type",
                         "summary_use_proj", "summary_activation", "summary_proj_to_labels",
                         "summary_first_dropout", "n_special", "predict_special_tokens"});
}

RopeSpec read_neighbours_rope(ConfigReader& config, int32_t head_dim) {
  RopeSpec rope;
  rope.dim = config.integer("rotary_dim", 2, head_dim);
  if (rope.dim % 2 != 0) config.fail("rotary_dim", "an even number");
  rope.theta = 10000;
  rope.neighbours = true;
  return rope;
}

}  // namespace tensormill
