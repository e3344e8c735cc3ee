#include <fmt/format.h>

#include <cmath>

#include "models/common_config.h"
#include "models/families/families.h"

namespace tensormill {
namespace {

Names names() {
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.c_attn", Role::kQueryKeyValue, 0},
           {"h.{L}.attn.c_proj", Role::kAttentionOut, 0},
           {"h.{L}.ln_2", Role::kNormIn, 1},
           {"h.{L}.mlp.w1", Role::kUp, 1},
           {"h.{L}.mlp.w2", Role::kGate, 1},
           {"h.{L}.mlp.c_proj", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.masked_bias", "h.{L}.attn.rotary_emb.inv_freq", "h.{L}.attn.logn_tensor",
           "rotary_emb.inv_freq"}};
}

// Beyond seq_length the base of rope grows by powers of two, and queries by a logarithm.
void read_long_context(ConfigReader& config, AttentionSpec& attention) {
  const int32_t length = config.integer("seq_length", 2, kMaxPositions);
  if (config.flag("use_dynamic_ntk", true)) {
    attention.rope.scaling = RopeScaling::kPowers;
    attention.rope.original_length = length;
    if (attention.rope.dim < 4) config.fail("use_dynamic_ntk", "false for heads of so few values");
  }
  if (config.flag("use_logn_attn", true)) attention.log_n = length;
}

AttentionSpec read_attention(ConfigReader& config, const char* heads, const char* width_key,
                             int32_t width) {
  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer(heads, 1, kMaxHeads);
  attention.dim = even_head_dim(config, width_key, width, heads, attention.heads);
  if (config.integer("kv_channels", 1, kMaxHeadDim, 128) != attention.dim) {
    config.fail("kv_channels", fmt::format("{} / {}", width_key, heads));
  }
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = true;
  attention.rope.theta = config.number("rotary_emb_base", 1, 1e12, 10000.0F);
  const float share = config.number("rotary_pct", 0, 1, 1.0F);
  attention.rope.dim = static_cast<int32_t>(static_cast<float>(attention.dim) * share);
  if (attention.rope.dim % 2 != 0) config.fail("rotary_pct", "an even share of kv_channels");
  read_long_context(config, attention);
  return attention;
}

// Values that no published checkpoint has.
void refuse_others(ConfigReader& config) {
  if (!config.flag("scale_attn_weights", true)) config.unsupported("scale_attn_weights", "true");
  if (config.flag("apply_residual_connection_post_layernorm", false)) {
    config.unsupported("apply_residual_connection_post_layernorm", "false");
  }
  if (config.text("pos_emb", "rotary") != "rotary") config.unsupported("pos_emb", "rotary");
  if (config.text("activation", "swiglu") != "swiglu") config.unsupported("activation", "swiglu");
}

}  // namespace

// The first files named sizes n_embd and so on.
FamilyModel describe_qwen(ConfigReader& config) {
  const auto either = [&](const char* newer, const char* older) {
    return config.has(older) && !config.has(newer) ? older : newer;
  };
  TransformerSpec spec;
  spec.max_positions =
      config.integer(either("max_position_embeddings", "n_positions"), 1, kMaxPositions, 8192);
  spec.head.tied = config.flag("tie_word_embeddings", false);
  StackSpec stack;
  const char* width_key = either("hidden_size", "n_embd");
  stack.width = config.integer(width_key, 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  if (config.integer("padded_vocab_size", 1, kMaxVocabulary, stack.embedding.vocabulary) !=
      stack.embedding.vocabulary) {
    config.unsupported("padded_vocab_size", "vocab_size");
  }
  stack.final_norm = {NormKind::kRms, config.number("layer_norm_epsilon", 0, 1, 1e-6F), false};
  BranchSpec first, second;
  AttentionSpec attention =
      read_attention(config, either("num_attention_heads", "n_head"), width_key, stack.width);
  MlpSpec mlp;
  const char* inner_key = either("intermediate_size", "ffn_hidden_size");
  mlp.width = config.integer(inner_key, 2, 2 * kMaxInnerWidth) / 2;  // counts gate and up
  mlp.activation = Activation::kSilu;
  mlp.gated = true;
  mlp.bias = attention.out_bias = !config.flag("no_bias", true);
  first.body = attention;
  second.body = mlp;
  first.in = second.in = stack.final_norm;
  stack.kinds = {{first, second}};
  stack.layers =
      uniform_layers(config.integer(either("num_hidden_layers", "n_layer"), 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  refuse_others(config);
  // How the reference computes, not what; rope_theta repeats rotary_emb_base there unread.
  config.without_effect({"fp16", "bf16", "fp32", "use_flash_attn", "use_cache_quantization",
                         "use_cache_kernel", "softmax_in_fp32", "onnx_safe", "params_dtype",
                         "bias_dropout_fusion", "rope_theta", "attn_dropout_prob",
                         "emb_dropout_prob", "attn_pdrop", "embd_pdrop", "resid_pdrop",
                         "tokenizer_type", "n_inner"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
