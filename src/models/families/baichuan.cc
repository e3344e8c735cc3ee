#include "base/error.h"
#include "models/alibi.h"
#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// The code that comes with the checkpoints differs where config.json hardly does. Those with rotary
// positions say how many they were trained on; the 13B ones, whose width is this, have ALiBi.
constexpr int32_t kWidthOfAlibi = 5120;
bool has_alibi(const ConfigReader& config, int32_t width) {
  return width == kWidthOfAlibi || !config.has("max_position_embeddings");
}

// The second generation has a larger vocabulary, and a weight for a loss in its class of configs.
constexpr int32_t kSecondVocabulary = 125696;
bool is_second(const ConfigReader& config, int32_t vocabulary) {
  return vocabulary >= kSecondVocabulary || config.has("z_loss_weight");
}

Names names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.W_pack", Role::kQueryKeyValue, 0},
           {"layers.{L}.self_attn.o_proj", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.gate_proj", Role::kGate, 1},
           {"layers.{L}.mlp.up_proj", Role::kUp, 1},
           {"layers.{L}.mlp.down_proj", Role::kDown, 1},
           {"norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq"}};
}

}  // namespace

FamilyModel describe_baichuan(ConfigReader& config) {
  constexpr float kTheta = 10000;
  constexpr int32_t kUsualPositions = 4096;
  TransformerSpec spec = read_decoder(
      config, config.integer("model_max_length", 1, kMaxPositions, kUsualPositions), false);
  if (spec.head.tied) config.unsupported("tie_word_embeddings", "false");
  StackSpec& stack = spec.stacks.front();
  spec.head.unit_rows = is_second(config, stack.embedding.vocabulary);

  AttentionSpec attention = read_heads(config, stack.width);
  if (has_alibi(config, stack.width)) {
    attention.bias.slopes = alibi_slopes(attention.heads);
  } else {
    attention.rope.dim = attention.dim;
    attention.rope.theta = kTheta;
    if (attention.dim % 2 != 0) {
      config.fail("num_attention_heads", "heads of an even number of values");
    }
  }
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  config.without_effect({"z_loss_weight", "max_position_embeddings"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
