// Models whose language model stands under text_config: it is that of its own family, bit for bit.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "artifacts/safetensors_writer.h"
#include "base/error.h"
#include "models/describe.h"
#include "models/host_batch.h"
#include "parity.h"

namespace tensormill {
namespace {

using testing::HasSubstr;
using Rename = std::function<std::string(const std::string&)>;

// The fixture's weights under other names, beside tensors of the other parts.
void write_weights(const TemporaryFolder& folder, const Variant& variant, const Rename& rename) {
  const TemporaryFolder source;
  variant.make_folder(source, [](Json&) {});
  const auto index = open_checkpoint(source.path());
  std::vector<SafetensorsWriter::Entry> entries;
  std::map<std::string, const TensorView*> values;
  for (const NamedTensor& tensor : index->tensors()) {
    const std::string name = rename(tensor.name);
    entries.push_back({name, tensor.view.type, tensor.view.shape});
    values[name] = &tensor.view;
  }
  const std::vector<float> other(8, 1);
  for (const char* name : {"vision_tower.vision_model.layers.0.self_attn.q_proj.weight",
                           "model.vision_tower.transformer.layers.0.attention.q_proj.weight",
                           "multi_modal_projector.linear_1.weight", "image_newline",
                           "model.connector.modality_projection.proj.weight"}) {
    entries.push_back({name, DType::kF32, {8}});
  }
  SafetensorsWriter writer(folder.path() / "model.safetensors", entries);
  for (const SafetensorsWriter::Entry& entry : writer.entries()) {
    const auto found = values.find(entry.name);
    if (found == values.end()) {
      writer.write(other.data(), other.size() * sizeof(float));
    } else {
      const TensorView& view = *found->second;
      writer.write(view.data, static_cast<size_t>(view.elements()) * dtype_size(view.type));
    }
  }
  writer.finish();
}

Json wrap(const std::string& type, const Variant& variant) {
  Json text = read_json_file(variant.golden() / (variant.name + ".config.json"));
  const Json eos = text.value("eos_token_id", Json());
  return {{"model_type", type},
          {"text_config", text},
          {"vision_config", {{"model_type", "clip_vision_model"}, {"hidden_size", 8}}},
          {"image_token_index", 32},
          {"vision_feature_layer", -2},
          {"tie_word_embeddings", false},
          {"vocab_size", 97}};
}

struct Wrapped {
  const char *type, *family, *variant, *prefix, *head;
};

void PrintTo(const Wrapped& wrapped, std::ostream* out) {
  *out << wrapped.type << " of " << wrapped.family;
}

class WrappedModel : public testing::TestWithParam<Wrapped> {};

TEST_P(WrappedModel, IsItsLanguageModel) {
  const Wrapped& wrapped = GetParam();
  const Variant variant = find_variant(wrapped.family, wrapped.variant);
  const TemporaryFolder folder;
  folder.write("config.json", wrap(wrapped.type, variant).dump());
  write_weights(folder, variant, [&](const std::string& name) -> std::string {
    if (name.starts_with("model.")) return wrapped.prefix + name.substr(6);
    return name.starts_with("lm_head.") ? wrapped.head + name.substr(7) : name;
  });
  const LoadOptions options = load_options(WeightFormat::kF32);
  const auto model = Model::load(folder.path(), options);
  EXPECT_EQ(model->info().model_type, wrapped.type);
  EXPECT_LT(compare(variant, *model).logits, tolerance(WeightFormat::kF32));
  EXPECT_EQ(best_tokens(variant, *model), variant.greedy);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, WrappedModel,
    testing::Values(
        Wrapped{"llava", "llama", "grouped", "language_model.model.", "language_model.lm_head"},
        Wrapped{"llava_next", "mistral", "window", "model.language_model.", "lm_head"},
        Wrapped{"llava_onevision", "qwen2", "full", "language_model.model.",
                "language_model.lm_head"},
        Wrapped{"mistral3", "mistral", "window", "language_model.model.", "language_model.lm_head"},
        Wrapped{"idefics3", "llama", "grouped", "model.text_model.", "lm_head"},
        Wrapped{"aya_vision", "cohere2", "tied", "language_model.model.", "language_model.lm_head"},
        Wrapped{"internvl", "qwen3", "plain", "language_model.model.", "language_model.lm_head"}));

Description described(const Json& config) {
  const TemporaryFolder folder;
  folder.write("config.json", config.dump());
  return describe_model(folder.path());
}

// Vicuna in LLaVA 1.5, as published in 2023.
TEST(WrappedConfig, SparseTextConfigs) {
  const Description llava = described(Json::parse(R"({
    "architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100,
    "image_token_index": 32000, "model_type": "llava", "pad_token_id": 32001,
    "projector_hidden_act": "gelu", "text_config": {"_name_or_path": "lmsys/vicuna-7b-v1.5",
    "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096,
    "model_type": "llama", "rms_norm_eps": 1e-05, "torch_dtype": "float16", "vocab_size": 32064,
    "eos_token_id": [2, 7]}, "tie_word_embeddings": false, "torch_dtype": "float16",
    "transformers_version": "4.36.0.dev0", "vision_config": {"hidden_size": 1024},
    "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
    "vocab_size": 32064})"));
  EXPECT_EQ(llava.info.vocabulary, 32064);
  EXPECT_EQ(llava.info.width, 4096);
  EXPECT_EQ(llava.info.layers, 32);
  EXPECT_EQ(llava.info.max_positions, 4096);
  EXPECT_EQ(llava.info.pad_id, 32001);
  EXPECT_EQ(llava.info.eos_ids, (std::vector<int32_t>{2, 7}));
  EXPECT_EQ(llava.usual_format, WeightFormat::kF16);
  // Of Mistral each absent key means what its class says, too: 8 key heads.
  const Description mistral = described({{"model_type", "mistral3"},
                                         {"text_config", {{"dtype", "bfloat16"}}},
                                         {"vision_config", Json::object()}});
  const auto& branch = mistral.model.spec.stacks[0].kinds[0][0];
  EXPECT_EQ(std::get<AttentionSpec>(branch.body).kv_heads, 8);
  EXPECT_EQ(mistral.usual_format, WeightFormat::kBF16);
}

std::string refusal(const Json& config) {
  try {
    described(config);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(WrappedConfig, WhatCannotRunIsRefused) {
  EXPECT_THAT(refusal({{"model_type", "llava"}}), HasSubstr("text_config is missing"));
  EXPECT_THAT(refusal({{"model_type", "llava"}, {"text_config", {{"model_type", "lfm2"}}}}),
              HasSubstr("model_type \"lfm2\" is not supported"));
  EXPECT_THAT(refusal({{"model_type", "llava"}, {"text_config", {{"model_type", "llava"}}}}),
              HasSubstr("text_config.model_type is \"llava\""));
  EXPECT_THAT(refusal({{"model_type", "llama4"}, {"text_config", Json::object()}}),
              HasSubstr("model_type \"llama4\" is not supported"));
  Json odd = wrap("llava", find_variant("llama", "grouped"));
  odd["text_config"]["odd_flag"] = true;
  EXPECT_THAT(refusal(odd), HasSubstr("unknown key: text_config.odd_flag"));
}

TEST(Config, ModelTypeFromTheNameAndTypesOfValues) {
  Json config = read_json_file(find_variant("llama", "grouped").golden() / "grouped.config.json");
  config.erase("model_type");
  config.erase("architectures");
  config.erase("torch_dtype");
  const TemporaryFolder folder;
  const auto inner = folder.path() / "my-llama-2023";
  std::filesystem::create_directory(inner);
  const auto info = [&] {
    std::ofstream(inner / "config.json") << config.dump();
    return describe_model(inner);
  };
  EXPECT_EQ(info().info.model_type, "llama");
  EXPECT_EQ(info().usual_format, WeightFormat::kBF16);
  config["dtype"] = "float16";
  EXPECT_EQ(info().usual_format, WeightFormat::kF16);
  config["dtype"] = "torch.float32";
  EXPECT_EQ(info().usual_format, WeightFormat::kF32);
  config["dtype"] = "float64";
  EXPECT_EQ(info().usual_format, WeightFormat::kF32);
}

}  // namespace
}  // namespace tensormill
