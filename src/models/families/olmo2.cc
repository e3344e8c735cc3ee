#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"layers.{L}.self_attn.q_norm", Role::kQueryNorm, 0},
           {"layers.{L}.self_attn.k_norm", Role::kKeyNorm, 0},
           {"layers.{L}.self_attn.o_proj", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormOut, 0},
           {"layers.{L}.mlp.gate_proj", Role::kGate, 1},
           {"layers.{L}.mlp.up_proj", Role::kUp, 1},
           {"layers.{L}.mlp.down_proj", Role::kDown, 1},
           {"layers.{L}.post_feedforward_layernorm", Role::kNormOut, 1},
           {"norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

}  // namespace

// Norms stand after the branches, and over all queries and all keys.
FamilyModel describe_olmo2(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  const NormSpec norm = stack.final_norm = read_rms_norm(config, 1e-5F);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("attention_bias", false);
  attention.q_norm = attention.k_norm = norm;
  attention.norm_span = HeadNorm::kAllHeads;
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  BranchSpec first, second;
  first.body = attention;
  second.body = read_gated_mlp(config);
  first.out = second.out = norm;
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(read_layer_count(config));
  return {std::move(spec), names()};
}

}  // namespace tensormill
