#include <cmath>

#include "models/common_config.h"
#include "models/families/families.h"

namespace tensormill {
namespace {

AttentionSpec read_attention(ConfigReader& config, int32_t width, int32_t max_positions) {
  AttentionSpec attention;
  attention.heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.kv_heads = config.integer("num_key_value_heads", 1, attention.heads, attention.heads);
  if (attention.heads % attention.kv_heads != 0) {
    config.fail("num_key_value_heads", "a divisor of num_attention_heads");
  }
  attention.dim = config.has("head_dim") ? config.integer("head_dim", 1, kMaxHeadDim)
                                         : even_head_dim(config, "hidden_size", width,
                                                         "num_attention_heads", attention.heads);
  config.without_effect({"head_dim"});
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, max_positions);
  return attention;
}

MlpSpec read_mlp(ConfigReader& config) {
  MlpSpec mlp;
  mlp.width = config.integer("intermediate_size", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "hidden_act", "silu");
  mlp.gated = true;
  mlp.bias = config.flag("mlp_bias", false);
  return mlp;
}

Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"layers.{L}.self_attn.o_proj", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.gate_proj", Role::kGate, 1},
           {"layers.{L}.mlp.up_proj", Role::kUp, 1},
           {"layers.{L}.mlp.down_proj", Role::kDown, 1},
           {"norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

}  // namespace

FamilyModel describe_llama(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxPositions, 2048);
  spec.head.tied = config.flag("tie_word_embeddings", false);
  StackSpec stack;
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  const NormSpec norm{NormKind::kRms, config.number("rms_norm_eps", 0, 1, 1e-6F), false};
  BranchSpec attention, mlp;
  attention.body = read_attention(config, stack.width, spec.max_positions);
  mlp.body = read_mlp(config);
  attention.in = mlp.in = stack.final_norm = norm;
  stack.kinds = {{attention, mlp}};
  stack.layers = uniform_layers(config.integer("num_hidden_layers", 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  // pretraining_tp only splits sums; the last two are notes by makers of small checkpoints.
  config.without_effect({"pretraining_tp", "rope_interleaved", "is_llama_config"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
