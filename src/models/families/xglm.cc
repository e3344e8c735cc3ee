#include <cmath>
#include <limits>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.self_attn_layer_norm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"layers.{L}.self_attn.out_proj", Role::kAttentionOut, 0},
           {"layers.{L}.final_layer_norm", Role::kNormIn, 1},
           {"layers.{L}.fc1", Role::kUp, 1},
           {"layers.{L}.fc2", Role::kDown, 1},
           {"layer_norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"embed_positions.weights"}};
}

// The first rows of positions stand for padding; the row of the padding token is cleared.
void read_positions(ConfigReader& config, TransformerSpec& spec) {
  constexpr int32_t kOffset = 2;
  constexpr int32_t kLargest = std::numeric_limits<int32_t>::max();
  const int32_t padding = config.integer("pad_token_id", -int64_t{kLargest}, kLargest, 1);
  if (padding < 0 || padding >= kOffset) {
    config.unsupported("pad_token_id", "0 or 1, whose positions no token has");
  }
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxPositions - kOffset, 2048);
  EmbeddingSpec& embedding = spec.stacks.front().embedding;
  embedding.table = PositionTable::kSinusoidal;
  embedding.position_rows = spec.max_positions + kOffset;
  embedding.position_offset = kOffset;
}

}  // namespace

FamilyModel describe_xglm(ConfigReader& config) {
  TransformerSpec spec;
  spec.head.tied = config.flag("tie_word_embeddings", true);
  StackSpec& stack = spec.stacks.emplace_back();
  stack.width = config.integer("d_model", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  if (config.flag("scale_embedding", true)) {
    stack.embedding.scale = std::sqrt(static_cast<float>(stack.width));
  }
  read_positions(config, spec);

  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("attention_heads", 1, kMaxHeads);
  attention.dim = even_head_dim(config, "d_model", stack.width, "attention_heads", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = true;
  MlpSpec mlp;
  mlp.width = config.integer("ffn_dim", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "activation_function", "gelu");
  mlp.bias = true;
  stack.final_norm = {NormKind::kLayer, 1e-5F, true};  // the reference's, not to be changed
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(config.integer("num_layers", 1, kMaxLayers));
  config.without_effect({"dropout", "activation_dropout", "layerdrop", "init_std"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
