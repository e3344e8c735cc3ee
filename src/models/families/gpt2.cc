#include <cmath>

#include "models/common_config.h"
#include "models/families/families.h"

namespace tensormill {
namespace {

// Weights are stored [inner, outputs].
Names names() {
  constexpr bool kTransposed = true;
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"wpe", Role::kPositions},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.c_attn", Role::kQueryKeyValue, 0, kTransposed},
           {"h.{L}.attn.c_proj", Role::kAttentionOut, 0, kTransposed},
           {"h.{L}.ln_2", Role::kNormIn, 1},
           {"h.{L}.mlp.c_fc", Role::kUp, 1, kTransposed},
           {"h.{L}.mlp.c_proj", Role::kDown, 1, kTransposed},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.bias", "h.{L}.attn.masked_bias"}};
}

}  // namespace

FamilyModel describe_gpt2(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("n_positions", 1, kMaxPositions);
  spec.head.tied = config.flag("tie_word_embeddings", true);
  StackSpec stack;
  stack.width = config.integer("n_embd", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  stack.embedding.position_rows = spec.max_positions;
  const NormSpec norm{NormKind::kLayer, config.number("layer_norm_epsilon", 0, 1, 1e-5F), true};
  stack.final_norm = norm;

  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("n_head", 1, kMaxHeads);
  attention.dim = even_head_dim(config, "n_embd", stack.width, "n_head", attention.heads);
  attention.qkv_bias = attention.out_bias = true;
  const bool scaled = config.flag("scale_attn_weights", true);
  const float scale = scaled ? 1 / std::sqrt(static_cast<float>(attention.dim)) : 1;
  const bool by_layer = config.flag("scale_attn_by_inverse_layer_idx", false);

  MlpSpec mlp;
  mlp.width = config.integer("n_inner", 1, kMaxInnerWidth, 4 * stack.width);
  mlp.activation = read_activation(config, "activation_function", "gelu_new");
  mlp.bias = true;

  const int32_t layers = config.integer("n_layer", 1, kMaxLayers);
  stack.layers = uniform_layers(layers);
  for (int32_t layer = 0; layer < (by_layer ? layers : 1); ++layer) {
    attention.scale = scale / static_cast<float>(layer + 1);
    BranchSpec first, second;
    first.body = attention;
    second.body = mlp;
    first.in = second.in = norm;
    stack.kinds.push_back({first, second});
    stack.layers[static_cast<size_t>(layer)].kind = static_cast<uint16_t>(layer);
  }
  spec.stacks.push_back(std::move(stack));
  // reorder_and_upcast_attn asks for the float32 scores that are always computed here.
  config.without_effect({"n_ctx", "resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_type",
                         "summary_use_proj", "summary_activation", "summary_proj_to_labels",
                         "summary_first_dropout", "reorder_and_upcast_attn", "n_special",
                         "predict_special_tokens"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
