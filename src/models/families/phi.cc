#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"layers.{L}.self_attn.q_layernorm", Role::kQueryNorm, 0},
           {"layers.{L}.self_attn.k_layernorm", Role::kKeyNorm, 0},
           {"layers.{L}.self_attn.dense", Role::kAttentionOut, 0},
           {"layers.{L}.mlp.fc1", Role::kUp, 1},
           {"layers.{L}.mlp.fc2", Role::kDown, 1},
           {"final_layernorm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

}  // namespace

FamilyModel describe_phi(ConfigReader& config) {
  constexpr float kUsualShare = 0.5F;
  TransformerSpec spec = read_decoder(config, 2048);
  spec.head.bias = true;
  StackSpec& stack = spec.stacks.front();
  const NormSpec norm = stack.final_norm = read_layer_norm(config, true);
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = true;
  const float share = config.number("partial_rotary_factor", 0, 1, kUsualShare);
  attention.rope = read_rope(config, "rope_theta", attention.dim, share, spec.max_positions);
  if (config.flag("qk_layernorm", false)) attention.q_norm = attention.k_norm = norm;
  MlpSpec mlp;
  mlp.width = config.integer("intermediate_size", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "hidden_act", "gelu_new");
  mlp.bias = true;
  stack.kinds = {parallel_layer(attention, mlp, norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  config.without_effect({"embd_pdrop", "resid_pdrop"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
