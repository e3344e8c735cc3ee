#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.qkv_proj", Role::kQueryKeyValue, 0},
           {"layers.{L}.self_attn.o_proj", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.gate_up_proj", Role::kGateUp, 1},
           {"layers.{L}.mlp.down_proj", Role::kDown, 1},
           {"norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

// Notes of published files that no released code follows otherwise.
void refuse_variants(ConfigReader& config) {
  for (const char* key : {"attention_bias", "mlp_bias", "lm_head_bias"}) {
    if (config.flag(key, false)) config.unsupported(key, "false");
  }
  for (const char* key : {"full_attn_mod", "interpolate_factor"}) {
    if (config.integer(key, 0, kMaxLayers, 1) != 1) config.unsupported(key, "1");
  }
}

}  // namespace

FamilyModel describe_phi3(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 4096);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  const float share = config.number("partial_rotary_factor", 0, 1, 1);
  attention.rope = read_rope(config, "rope_theta", attention.dim, share, spec.max_positions);
  attention.mask.window = read_window(config);
  stack.final_norm = read_rms_norm(config, 1e-5F);
  stack.kinds = {pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  refuse_variants(config);
  config.without_effect({"embd_pdrop", "resid_pdrop", "original_max_position_embeddings"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
