#include <cmath>

#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names blank_names() {
  return {"glm.",
          {{"word_embeddings", Role::kEmbedding},
           {"transformer.position_embeddings", Role::kPositions},
           {"transformer.block_position_embeddings", Role::kSecondPositions},
           {"transformer.layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"transformer.layers.{L}.attention.query_key_value", Role::kQueryKeyValue, 0},
           {"transformer.layers.{L}.attention.dense", Role::kAttentionOut, 0},
           {"transformer.layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"transformer.layers.{L}.mlp.dense_h_to_4h", Role::kUp, 1},
           {"transformer.layers.{L}.mlp.dense_4h_to_h", Role::kDown, 1},
           {"transformer.final_layernorm", Role::kFinalNorm}},
          {}};
}

}  // namespace

// The first models of this name, whose code comes with them: learned positions on two axes, the
// context read whole, the blank written after it.
FamilyModel describe_glm_blank(ConfigReader& config) {
  if (!config.flag("block_position_encoding", true)) {
    config.unsupported("block_position_encoding", "true");
  }
  if (config.flag("relative_encoding", false)) config.unsupported("relative_encoding", "false");
  if (!config.flag("output_predict", true)) config.unsupported("output_predict", "true");
  if (config.has("spell_length")) config.unsupported("spell_length", "null");
  TransformerSpec spec;
  spec.max_positions = config.integer("max_sequence_length", 1, kMaxPositions);
  spec.head.tied = true;
  spec.axes = 2;
  spec.blanks.start_name = "<|startofpiece|>";
  spec.blanks.mask_names = {"[MASK]", "[sMASK]", "[gMASK]"};
  StackSpec stack;
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  stack.embedding.position_rows = spec.max_positions + 1;
  constexpr float kEps = 1e-5F;
  const NormSpec norm{NormKind::kLayer, kEps, true};
  stack.final_norm = norm;

  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.dim =
      even_head_dim(config, "hidden_size", stack.width, "num_attention_heads", attention.heads);
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = true;
  attention.mask.prefix = true;
  MlpSpec mlp;
  mlp.width = 4 * stack.width;
  mlp.activation = Activation::kGelu;
  mlp.bias = true;
  stack.kinds = {pre_norm_layer(attention, mlp, norm)};
  stack.layers = uniform_layers(config.integer("num_layers", 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  // attention_scale only moves factors to where float16 doesn't overflow.
  config.without_effect({"attention_scale", "checkpoint_activations", "checkpoint_num_layers",
                         "embedding_dropout_prob", "attention_dropout_prob", "output_dropout_prob",
                         "parallel_output", "pool_token", "spell_func", "spell_length",
                         "tie_word_embeddings"});
  return {std::move(spec), blank_names()};
}

}  // namespace tensormill
