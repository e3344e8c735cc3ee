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
           {"layers.{L}.self_attn.o_proj", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.c_fc", Role::kUp, 1},
           {"layers.{L}.mlp.c_proj", Role::kDown, 1},
           {"norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

void require_text(ConfigReader& config, std::string_view key, const char* only) {
  if (config.text(key, only) != only) config.unsupported(key, only);
}

}  // namespace

FamilyModel describe_starcoder2(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 4096, true);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  const bool biases = config.flag("use_bias", true);
  attention.qkv_bias = attention.out_bias = biases;
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  attention.mask.window = read_window(config);
  MlpSpec mlp = read_gated_mlp(config, "gelu_pytorch_tanh");
  mlp.gated = false;
  mlp.bias = biases;
  stack.final_norm = {NormKind::kLayer, config.number("norm_epsilon", 0, 1, 1e-5F), true};
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  require_text(config, "mlp_type", "default");
  require_text(config, "norm_type", "layer_norm");
  // Of these the reference reads none: hidden_act and norm_epsilon say what they seem to say.
  config.without_effect({"activation_function", "layer_norm_epsilon", "scale_attn_weights",
                         "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                         "embedding_dropout", "residual_dropout", "resid_pdrop", "embd_pdrop",
                         "attn_pdrop"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
