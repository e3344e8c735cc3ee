#include <cmath>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// A layer's norms stand before its branches or after them; first uploads lack "model.".
Names names() {
  return {"model.",
          {{"decoder.embed_tokens", Role::kEmbedding},
           {"decoder.embed_positions", Role::kPositions},
           {"decoder.project_in", Role::kProjectIn},
           {"decoder.project_out", Role::kProjectOut},
           {"decoder.layers.{L}.self_attn_layer_norm", Role::kNormIn, 0},
           {"decoder.layers.{L}.self_attn_layer_norm", Role::kNormSum, 0},
           {"decoder.layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"decoder.layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"decoder.layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"decoder.layers.{L}.self_attn.out_proj", Role::kAttentionOut, 0},
           {"decoder.layers.{L}.final_layer_norm", Role::kNormIn, 1},
           {"decoder.layers.{L}.final_layer_norm", Role::kNormSum, 1},
           {"decoder.layers.{L}.fc1", Role::kUp, 1},
           {"decoder.layers.{L}.fc2", Role::kDown, 1},
           {"decoder.final_layer_norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"decoder.version"}};
}

NormSpec read_norm(ConfigReader& config) {
  NormSpec norm{NormKind::kLayer, 1e-5F};  // the reference's, not to be changed
  norm.weight = norm.shift = config.flag("layer_norm_elementwise_affine", true);
  return norm;
}

AttentionSpec read_attention(ConfigReader& config, int32_t width, bool biases) {
  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.dim =
      even_head_dim(config, "hidden_size", width, "num_attention_heads", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = biases;
  return attention;
}

}  // namespace

FamilyModel describe_opt(ConfigReader& config) {
  constexpr int32_t kOffset = 2;  // rows of positions that stand for padding
  TransformerSpec spec = read_decoder(config, 2048, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.position_rows = spec.max_positions + kOffset;
  stack.embedding.position_offset = kOffset;
  const int32_t narrow = config.integer("word_embed_proj_dim", 1, kMaxWidth, stack.width);
  if (narrow != stack.width) stack.embedding.width = narrow;

  const bool biases = config.flag("enable_bias", true);
  MlpSpec mlp;
  mlp.width = config.integer("ffn_dim", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "activation_function", "relu");
  mlp.bias = biases;
  const bool before = config.flag("do_layer_norm_before", true);
  const bool removed = config.flag("_remove_final_layer_norm", false);
  const NormSpec norm = read_norm(config);
  std::vector<BranchSpec> layer =
      pre_norm_layer(read_attention(config, stack.width, biases), mlp, norm);
  for (BranchSpec& branch : layer) {
    if (!before) std::swap(branch.in, branch.sum);
  }
  if (before && !removed) stack.final_norm = norm;
  stack.kinds = {layer};
  stack.layers = uniform_layers(read_layer_count(config));
  // Galactica's files name what the reference neither reads nor does otherwise.
  if (config.flag("scale_embeddings", false)) config.unsupported("scale_embeddings", "false");
  if (!config.flag("learned_embeddings", true)) config.unsupported("learned_embeddings", "true");
  config.without_effect({"dropout", "activation_dropout", "layerdrop", "init_std"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
