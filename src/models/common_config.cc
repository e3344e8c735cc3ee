#include "models/common_config.h"

#include <array>
#include <string>
#include <utility>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr std::array<std::pair<std::string_view, Activation>, 13> kActivations{{
    {"gelu", Activation::kGelu},
    {"gelu_python", Activation::kGelu},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_accurate", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_python_tanh", Activation::kGeluTanh},
    {"quick_gelu", Activation::kQuickGelu},
    {"relu", Activation::kRelu},
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"tanh", Activation::kTanh},
    {"linear", Activation::kNone},
}};

}  // namespace

int32_t read_integer(ConfigReader& config, std::initializer_list<std::string_view> spellings,
                     int64_t low, int64_t high, std::optional<int32_t> fallback) {
  std::optional<int32_t> value;
  std::string_view known;
  for (const std::string_view key : spellings) {
    if (!config.has(key)) continue;
    const int32_t here = config.integer(key, low, high);
    if (value && here != *value) config.fail(key, fmt::format("{}, as {} says", *value, known));
    value = here;
    known = key;
  }
  config.without_effect(spellings);  // null
  return value ? *value : config.integer(*spellings.begin(), low, high, fallback);
}

Activation read_activation(ConfigReader& config, std::string_view key, const char* usual) {
  const std::string name = config.text(key, usual);
  std::string known;
  for (const auto& [text, activation] : kActivations) {
    if (text == name) return activation;
    known += known.empty() ? "" : ", ";
    known += text;
  }
  config.unsupported(key, known);
}

int32_t even_head_dim(const ConfigReader& config, std::string_view width_key, int32_t width,
                      std::string_view heads_key, int32_t heads) {
  if (width % heads != 0) {
    config.fail(heads_key, fmt::format("a divisor of {}, which is {}", width_key, width));
  }
  if (width / heads > kMaxHeadDim) {
    config.fail(heads_key,
                fmt::format("heads of at most {} values: {} is {}", kMaxHeadDim, width_key, width));
  }
  return width / heads;
}

void read_common_keys(ConfigReader& config) {
  if (config.flag("is_encoder_decoder", false)) config.unsupported("is_encoder_decoder", "false");
  if (config.flag("add_cross_attention", false)) {
    config.unsupported("add_cross_attention", "false");
  }
  if (config.has("quantization_config")) {
    config.unsupported("quantization_config", "weights in f32, f16 or bf16");
  }
  config.without_effect({
      "quantization_config",
      "model_type",
      "architectures",
      "auto_map",
      "torch_dtype",
      "dtype",
      "base_model_tp_plan",
      "base_model_pp_plan",
      "custom_pipelines",
      "custom_pipeline",
      "model_max_length",
      "max_sequence_length",
      "transformers_version",
      "transformers.js_config",
      "_name_or_path",
      "_from_model_config",
      "_commit_hash",
      "_attn_implementation",
      "_attn_implementation_autoset",
      "_flash_attn_2_enabled",
      "_attn_implementation_internal",
      "attn_implementation",
      "unsloth_fixed",
      "unsloth_version",
      "use_cache",
      "initializer_range",
      "attention_dropout",
      "hidden_dropout",
      "classifier_dropout",
      "attention_probs_dropout_prob",
      "hidden_dropout_prob",
      "gradient_checkpointing",
      "torchscript",
      "use_bfloat16",
      "return_dict",
      "use_return_dict",
      "is_composition",
      "xla_device",
      "loss_type",
      "return_dict_in_generate",
      "output_attentions",
      "output_hidden_states",
      "output_scores",
      "output_past",
      "finetuning_task",
      "problem_type",
      "task_specific_params",
      "id2label",
      "label2id",
      "num_labels",
      "_num_labels",
      "tokenizer_class",
      "is_decoder",
      "cross_attention_hidden_size",
      "tie_encoder_decoder",
      "chunk_size_feed_forward",
      "pruned_heads",
      "tf_legacy_loss",
      "sep_token_id",
      "unk_token_id",
      "cls_token_id",
      "mask_token_id",
      "decoder_start_token_id",
      "prefix",
  });
  // Defaults of generate(), which a request sets for itself.
  config.without_effect({
      "max_length",
      "max_new_tokens",
      "min_length",
      "min_new_tokens",
      "do_sample",
      "early_stopping",
      "num_beams",
      "num_beam_groups",
      "diversity_penalty",
      "temperature",
      "top_k",
      "top_p",
      "typical_p",
      "repetition_penalty",
      "length_penalty",
      "no_repeat_ngram_size",
      "encoder_no_repeat_ngram_size",
      "bad_words_ids",
      "num_return_sequences",
      "forced_bos_token_id",
      "forced_eos_token_id",
      "remove_invalid_values",
      "forced_decoder_ids",
      "renormalize_logits",
      "penalty_alpha",
      "suppress_tokens",
      "begin_suppress_tokens",
      "exponential_decay_length_penalty",
  });
}

}  // namespace tensormill
