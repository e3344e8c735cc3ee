// config.json of published checkpoints of every age must be read: their keys in full, the sizes
// that matter to the spec.

#include <gtest/gtest.h>

#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"

namespace tensormill {
namespace {

struct Published {
  const char* name;
  int32_t max_positions;
  Activation activation;
  const char* config;
};

void PrintTo(const Published& published, std::ostream* out) {
  *out << published.name;
}

class PublishedConfig : public testing::TestWithParam<Published> {};

TEST_P(PublishedConfig, IsRead) {
  const TemporaryFolder folder;
  folder.write("config.json", GetParam().config);
  const Description description = describe_model(folder.path());
  EXPECT_EQ(description.info.max_positions, GetParam().max_positions);
  const auto& branches = description.model.spec.stacks[0].kinds[0];
  EXPECT_EQ(std::get<MlpSpec>(branches[1].body).activation, GetParam().activation);
}

std::string test_name(const testing::TestParamInfo<Published>& test) {
  return test.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Llama, PublishedConfig,
    testing::Values(Published{"FirstConversion", 2048, Activation::kSilu, R"({
  "architectures": ["LLaMAForCausalLM"], "bos_token_id": 0, "eos_token_id": 1,
  "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008,
  "initializer_range": 0.02, "max_sequence_length": 2048, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 32, "pad_token_id": -1, "rms_norm_eps": 1e-06,
  "torch_dtype": "float16", "transformers_version": "4.27.0.dev0", "use_cache": true,
  "vocab_size": 32000})"},
                    Published{"ConversionWithPadding", 4096, Activation::kSilu, R"({
  "_name_or_path": "vicuna", "architectures": ["LlamaForCausalLM"], "bos_token_id": 1,
  "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
  "intermediate_size": 11008, "max_position_embeddings": 4096, "max_sequence_length": 16384,
  "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
  "num_key_value_heads": 32, "pad_token_id": 0, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 4.0, "type": "linear"}, "tie_word_embeddings": false,
  "torch_dtype": "float16", "transformers_version": "4.31.0", "use_cache": true,
  "vocab_size": 32000})"},
                    Published{"Code", 16384, Activation::kSilu, R"({
  "_name_or_path": "base", "architectures": ["LlamaForCausalLM"], "auto_map": {"AutoConfig": "x"},
  "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 32013, "eos_token_id": 32021,
  "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
  "intermediate_size": 11008, "max_position_embeddings": 16384, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
  "pretraining_tp": 1, "rms_norm_eps": 1e-06,
  "rope_scaling": {"factor": 4.0, "type": "linear", "original_max_position_embeddings": 4096},
  "rope_theta": 100000, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "transformers_version": "4.33.1", "use_cache": true, "vocab_size": 32256,
  "_flash_attn_2_enabled": true, "sliding_window": null, "quantization_config": null})"},
                    Published{"ThirdGeneration", 131072, Activation::kSilu, R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "head_dim": 64,
  "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
  "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false,
  "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16,
  "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
  "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256,
  "_commit_hash": "0", "unsloth_fixed": true})"},
                    Published{"Small", 8192, Activation::kSilu, R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
  "initializer_range": 0.041666666666666664, "intermediate_size": 1536,
  "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false,
  "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30,
  "num_key_value_heads": 3, "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
  "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.42.3",
  "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}},
  "use_cache": true, "vocab_size": 49152})"}),
    test_name);

INSTANTIATE_TEST_SUITE_P(Gpt2, PublishedConfig,
                         testing::Values(Published{"Plain", 1024, Activation::kGeluTanh, R"({
  "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
  "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
  "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
  "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
  "summary_use_proj": true,
  "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
  "vocab_size": 50257})"},
                                         Published{"Distilled", 1024, Activation::kGeluTanh, R"({
  "_num_labels": 1, "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
  "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
  "id2label": {"0": "LABEL_0"}, "initializer_range": 0.02, "label2id": {"LABEL_0": 0},
  "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
  "n_layer": 6, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
  "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
  "summary_use_proj": true, "output_past": true, "vocab_size": 50257})"},
                                         Published{"OfTheFirstYear", 1024, Activation::kGeluTanh,
                                                   R"({
  "attn_pdrop": 0.1, "embd_pdrop": 0.1, "finetuning_task": null, "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 1024, "n_head": 16,
  "n_layer": 24, "n_positions": 1024, "n_special": 0, "num_labels": 1,
  "output_attentions": false, "output_hidden_states": false, "predict_special_tokens": true,
  "pruned_heads": {}, "resid_pdrop": 0.1, "summary_activation": null,
  "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
  "summary_use_proj": true, "torchscript": false, "use_bfloat16": false, "xla_device": null,
  "vocab_size": 50257})"},
                                         Published{"StableAttention", 1024, Activation::kGelu, R"({
  "activation_function": "gelu", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.0,
  "bos_token_id": 50256, "embd_pdrop": 0.0, "eos_token_id": 50256, "gradient_checkpointing": false,
  "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024,
  "n_embd": 768, "n_head": 12, "n_inner": 3072, "n_layer": 10, "n_positions": 1024,
  "reorder_and_upcast_attn": true, "resid_pdrop": 0.0, "scale_attn_by_inverse_layer_idx": true,
  "scale_attn_weights": true, "summary_activation": null, "summary_first_dropout": 0.1,
  "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
  "torch_dtype": "float32", "transformers_version": "4.25.1", "use_cache": true,
  "vocab_size": 50257})"}),
                         test_name);

INSTANTIATE_TEST_SUITE_P(GptNeox, PublishedConfig,
                         testing::Values(Published{"TwentyBillion", 2048, Activation::kGeluTanh,
                                                   R"({
  "architectures": ["GPTNeoXForCausalLM"], "attention_probs_dropout_prob": 0, "bos_token_id": 0,
  "eos_token_id": 0, "hidden_act": "gelu_fast", "hidden_dropout_prob": 0, "hidden_size": 6144,
  "initializer_range": 0.02, "intermediate_size": 24576, "layer_norm_eps": 1e-05,
  "max_position_embeddings": 2048, "model_type": "gpt_neox", "num_attention_heads": 64,
  "num_hidden_layers": 44, "rotary_emb_base": 10000, "rotary_pct": 0.25,
  "tie_word_embeddings": false, "torch_dtype": "float16", "transformers_version": "4.19.0.dev0",
  "use_cache": true, "vocab_size": 50432})"},
                                         Published{"WithPipelines", 2048, Activation::kGelu, R"({
  "_name_or_path": "base", "architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0,
  "custom_pipelines": {"text-generation": {"impl": "pipeline.Pipeline",
                                           "pt": "AutoModelForCausalLM"}},
  "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 2560, "initializer_range": 0.02,
  "intermediate_size": 10240, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
  "model_type": "gpt_neox", "num_attention_heads": 32, "num_hidden_layers": 32,
  "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false,
  "torch_dtype": "bfloat16", "transformers_version": "4.25.1", "use_cache": false,
  "use_parallel_residual": true, "vocab_size": 50280})"},
                                         Published{"Written", 2048, Activation::kGelu, R"({
  "architectures": ["GPTNeoXForCausalLM"], "attention_bias": true, "attention_dropout": 0.0,
  "bos_token_id": 0, "classifier_dropout": 0.1, "dtype": "float16", "eos_token_id": 0,
  "hidden_act": "gelu", "hidden_dropout": 0.0, "hidden_size": 512, "initializer_range": 0.02,
  "intermediate_size": 2048, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
  "model_type": "gpt_neox", "num_attention_heads": 8, "num_hidden_layers": 6,
  "partial_rotary_factor": 0.25, "rope_scaling": null, "rope_theta": 10000,
  "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false,
  "transformers_version": "4.57.0", "use_cache": true, "use_parallel_residual": true,
  "vocab_size": 50304})"}),
                         test_name);

}  // namespace
}  // namespace tensormill
