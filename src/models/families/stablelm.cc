#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// With parallel branches there is no post_attention_layernorm.
Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"layers.{L}.self_attn.q_layernorm.norms.{H}", Role::kQueryNorm, 0},
           {"layers.{L}.self_attn.k_layernorm.norms.{H}", Role::kKeyNorm, 0},
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

FamilyModel describe_stablelm(ConfigReader& config) {
  constexpr float kUsualShare = 0.25F;
  TransformerSpec spec = read_decoder(config, 4096);
  StackSpec& stack = spec.stacks.front();
  const NormSpec norm = stack.final_norm = read_layer_norm(config, true);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = config.flag("use_qkv_bias", false);
  const float share = config.number("partial_rotary_factor", 0, 1, kUsualShare);
  attention.rope = read_rope(config, "rope_theta", attention.dim, share, spec.max_positions);
  if (config.flag("qk_layernorm", false)) {
    attention.q_norm = attention.k_norm = {NormKind::kLayer, norm.eps, false};
    attention.norm_span = HeadNorm::kEachHead;
  }
  const bool parallel = config.flag("use_parallel_residual", false);
  const auto layer = parallel ? parallel_layer : pre_norm_layer;
  stack.kinds = {layer(attention, read_gated_mlp(config), norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  // What older files called the keys above; the reference reads neither.
  config.without_effect({"rope_pct", "norm_eps", "rotary_scaling_factor"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
