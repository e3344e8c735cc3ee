#include "models/families/families.h"
#include "models/gpt_like.h"
#include "models/llama_like.h"
#include "models/row_maps.h"

namespace tensormill {
namespace {

Names names(RowMap rows) {
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"wpe", Role::kPositions},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.c_attn", Role::kQueryKeyValue, 0, false, rows},
           {"h.{L}.attn.c_proj", Role::kAttentionOut, 0},
           {"h.{L}.ln_2", Role::kNormIn, 1},
           {"h.{L}.mlp.c_fc", Role::kUp, 1},
           {"h.{L}.mlp.c_proj", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.bias", "h.{L}.attn.masked_bias", "bias"}};
}

}  // namespace

FamilyModel describe_gpt_bigcode(ConfigReader& config) {
  TransformerSpec spec = read_gpt_decoder(config, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.position_rows = spec.max_positions;
  AttentionSpec attention = read_gpt_heads(config, stack.width);
  const bool shared = config.flag("multi_query", true);
  if (shared) attention.kv_heads = 1;
  // Newer versions write what follows from multi_query.
  if (config.integer("num_key_value_heads", 1, kMaxHeads, attention.kv_heads) !=
      attention.kv_heads) {
    config.fail("num_key_value_heads", "1 where multi_query is true, otherwise n_head");
  }
  if (!config.flag("scale_attn_weights", true)) attention.scale = 1;
  attention.qkv_bias = attention.out_bias = true;
  MlpSpec mlp = read_gpt_mlp(config, stack.width);
  mlp.activation = read_activation(config, "activation_function", "gelu_pytorch_tanh");
  stack.final_norm = read_gpt_norm(config);
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_gpt_layers(config));
  pass_gpt_keys(config);
  // Scores are float32 in any case; the rest told an older version how to keep its cache.
  config.without_effect({"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                         "inference_runner", "validate_runner_input", "pre_allocate_kv_cache",
                         "pad_key_length", "max_batch_size", "runner_max_sequence_length"});
  return {std::move(spec), names(shared ? nullptr : rows_by_group)};
}

}  // namespace tensormill
