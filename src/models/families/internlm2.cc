#include "models/families/families.h"
#include "models/llama_like.h"
#include "models/row_maps.h"

namespace tensormill {
namespace {

Names names() {
  return {"model.",
          {{"tok_embeddings", Role::kEmbedding},
           {"layers.{L}.attention_norm", Role::kNormIn, 0},
           {"layers.{L}.attention.wqkv", Role::kQueryKeyValue, 0, false, rows_by_group},
           {"layers.{L}.attention.wo", Role::kAttentionOut, 0},
           {"layers.{L}.ffn_norm", Role::kNormIn, 1},
           {"layers.{L}.feed_forward.w1", Role::kGate, 1},
           {"layers.{L}.feed_forward.w3", Role::kUp, 1},
           {"layers.{L}.feed_forward.w2", Role::kDown, 1},
           {"norm", Role::kFinalNorm},
           {"output", Role::kHead}},
          {"layers.{L}.attention.rotary_emb.inv_freq"}};
}

}  // namespace

FamilyModel describe_internlm2(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.qkv_bias = attention.out_bias = config.flag("bias", true);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  stack.final_norm = read_rms_norm(config);
  stack.kinds = {pre_norm_layer(attention, read_gated_mlp(config), stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  config.without_effect({"pretraining_tp"});  // only splits sums
  return {std::move(spec), names()};
}

}  // namespace tensormill
