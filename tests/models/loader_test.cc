// Checkpoints that contradict config.json, and weights that need none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "artifacts/safetensors_writer.h"
#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"
#include "models/host_batch.h"
#include "models/model_impl.h"
#include "tensor/convert.h"

namespace tensormill {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Stored {
  DType type;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};
using Checkpoint = std::map<std::string, Stored>;

Checkpoint read_checkpoint(const std::filesystem::path& folder) {
  Checkpoint result;
  const auto index = open_checkpoint(folder);
  for (const NamedTensor& tensor : index->tensors()) {
    const auto* data = static_cast<const std::byte*>(tensor.view.data);
    const auto size = static_cast<size_t>(tensor.view.elements()) * dtype_size(tensor.view.type);
    result[tensor.name] = {tensor.view.type, tensor.view.shape, {data, data + size}};
  }
  return result;
}

void write_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, tensor] : checkpoint)
    entries.push_back({name, tensor.type, tensor.shape});
  SafetensorsWriter writer(folder / "model.safetensors", entries);
  for (const SafetensorsWriter::Entry& entry : writer.entries()) {
    const Stored& tensor = checkpoint.at(entry.name);
    writer.write(tensor.bytes.data(), tensor.bytes.size());
  }
  writer.finish();
}

Stored converted(const Stored& tensor, DType type) {
  const size_t count = tensor.bytes.size() / dtype_size(tensor.type);
  Stored result{type, tensor.shape, std::vector<std::byte>(count * dtype_size(type))};
  convert(tensor.bytes.data(), tensor.type, result.bytes.data(), type, static_cast<int64_t>(count));
  return result;
}

// The model of a fixture whose checkpoint went through `change`.
template <class Change>
std::unique_ptr<Model> load_changed(const std::string& family, const std::string& name,
                                    const LoadOptions& options, Change&& change) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, [](Json&) {});
  Checkpoint checkpoint = read_checkpoint(folder.path());
  change(checkpoint);
  write_checkpoint(folder.path(), checkpoint);
  return Model::load(folder.path(), options);
}

LoadOptions as_stored() {
  LoadOptions options;
  run_on_test_device(options, nullptr);
  return options;
}

std::vector<float> logits(const Model& model) {
  return run_sequences(model, {{3, 1, 4, 1, 5, 9, 2, 6}}, 64).logits;
}

TEST(Loader, EveryBadTensorIsNamedAtOnce) {
  try {
    load_changed("llama", "grouped", as_stored(), [](Checkpoint& checkpoint) {
      checkpoint.erase("model.norm.weight");
      checkpoint.erase("model.layers.1.mlp.up_proj.weight");
      checkpoint["model.layers.0.self_attn.q_proj.weight"].shape = {18, 72};
      checkpoint["model.layers.2.input_layernorm.weight"] = checkpoint["lm_head.weight"];
      Stored& norm = checkpoint["model.layers.0.input_layernorm.weight"];
      norm = {DType::kI64, norm.shape, std::vector<std::byte>(36 * 8)};
    });
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kArtifactInvalid);
    EXPECT_THAT(
        error.what(),
        AllOf(HasSubstr("model.safetensors"), HasSubstr("missing tensors: "),
              HasSubstr("model.norm.weight [36]"),
              HasSubstr("model.layers.1.mlp.up_proj.weight [50, 36]"),
              HasSubstr("model.layers.0.self_attn.q_proj.weight is [18, 72], config.json says "
                        "[36, 36]"),
              HasSubstr("model.layers.0.input_layernorm.weight is i64, expected f32, f16, "
                        "bf16 or f64"),
              HasSubstr("doesn't use: model.layers.2.input_layernorm.weight")));
  }
}

TEST(Loader, HeadIsNotGuessed) {
  EXPECT_THROW(load_changed("llama", "grouped", as_stored(),
                            [](Checkpoint& checkpoint) { checkpoint.erase("lm_head.weight"); }),
               Error);
}

TEST(Loader, PrefixBuffersAndATiedHeadMayBeThereOrNot) {
  const auto plain = find_variant("gpt2", "plain").load(as_stored());
  const auto changed = load_changed("gpt2", "plain", as_stored(), [](Checkpoint& checkpoint) {
    Checkpoint bare;
    for (auto& [name, tensor] : checkpoint) {
      ASSERT_TRUE(name.starts_with("transformer.")) << name;
      bare[name.substr(12)] = tensor;
    }
    bare["h.1.attn.bias"] = {DType::kU8, {1, 1, 2, 2}, std::vector<std::byte>(4)};
    bare["lm_head.weight"] = bare["wte.weight"];
    checkpoint = bare;
  });
  EXPECT_EQ(logits(*plain), logits(*changed));
}

// As other programs save the same model: the rule about prefixes holds for every family.
class Prefixes : public testing::TestWithParam<Variant> {
 protected:
  static std::string family_prefix(const Variant& variant) {
    const TemporaryFolder folder;
    variant.make_folder(folder, [](Json&) {});
    return std::string(describe_model(folder.path()).model.names.prefix);
  }
  // The name in the base model, or beside it.
  static std::string bare(const std::string& name, const std::string& prefix) {
    return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  }
};

TEST_P(Prefixes, DoNotMatter) {
  const Variant& variant = GetParam();
  const std::string prefix = family_prefix(variant);
  const auto logits_of = [&](const Model& model) {
    return run_sequences(model, {variant.prompts.front()}, 64).logits;
  };
  const std::vector<float> plain = logits_of(*variant.load(as_stored()));
  const auto with = [&](auto&& rename) {
    return logits_of(*load_changed(variant.family, variant.name, as_stored(), [&](Checkpoint& all) {
      Checkpoint renamed;
      for (auto& [name, tensor] : all) renamed[rename(name)] = tensor;
      ASSERT_EQ(renamed.size(), all.size());
      all = std::move(renamed);
    }));
  };
  const auto is_base = [&](const std::string& name) { return name.starts_with(prefix); };
  EXPECT_EQ(plain, with([&](const std::string& name) { return bare(name, prefix); }));
  for (const char* wrapper : {"module.", "_orig_mod.", "base_model.model.", "language_model.",
                              "module.base_model.model._orig_mod."}) {
    EXPECT_EQ(plain, with([&](const std::string& name) { return wrapper + name; })) << wrapper;
  }
  EXPECT_EQ(plain, with([&](const std::string& name) {
              return is_base(name) ? "model.language_model." + bare(name, prefix) : name;
            }));
  EXPECT_EQ(plain,
            with([&](const std::string& name) { return (is_base(name) ? "" : prefix) + name; }));
  // torch.compile of single modules.
  EXPECT_EQ(plain, with([&](std::string name) {
              const size_t dot = name.rfind('.');
              return name.insert(dot + 1, "_orig_mod.");
            }));
}

std::string variant_name(const testing::TestParamInfo<Variant>& info) {
  return test_text(info.param.family + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Models, Prefixes, testing::ValuesIn(variants()), variant_name);

TEST(Loader, WeightsInF64AndMasksAreRead) {
  const auto plain = find_variant("llama", "grouped").load(load_options(WeightFormat::kF32));
  const auto wide = load_changed("llama", "grouped", as_stored(), [](Checkpoint& checkpoint) {
    for (auto& [name, tensor] : checkpoint) {
      const Stored floats = converted(tensor, DType::kF32);
      const auto* from = reinterpret_cast<const float*>(floats.bytes.data());
      const std::vector<double> values(from, from + floats.bytes.size() / sizeof(float));
      const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
      tensor = {DType::kF64, tensor.shape, {bytes, bytes + values.size() * sizeof(double)}};
    }
    checkpoint["model.causal_mask"] = {DType::kBool, {2, 2}, std::vector<std::byte>(4)};
  });
  EXPECT_EQ(wide->info().format, WeightFormat::kF32);
  EXPECT_EQ(logits(*plain), logits(*wide));
}

TEST(Loader, FormatIsTheStoredMatricesOrTheWidestOfAMix) {
  const auto format = [](DType matrices, const char* wider, DType type) {
    return load_changed("llama", "tied", as_stored(),
                        [&](Checkpoint& checkpoint) {
                          for (auto& [name, tensor] : checkpoint) {
                            const bool is_wider = name.find(wider) != std::string::npos;
                            tensor = converted(tensor, is_wider ? type : matrices);
                          }
                        })
        ->info()
        .format;
  };
  EXPECT_EQ(format(DType::kBF16, "norm", DType::kF32), WeightFormat::kBF16);
  EXPECT_EQ(format(DType::kBF16, "q_proj", DType::kF32), WeightFormat::kF32);
  EXPECT_EQ(format(DType::kBF16, "q_proj", DType::kF16), WeightFormat::kF32);
  EXPECT_EQ(format(DType::kF16, "none", DType::kF16), WeightFormat::kF16);
}

TEST(Loader, StoredTypeDoesNotMatterForWhatIsComputed) {
  const auto plain = find_variant("gpt_neox", "parallel").load(load_options(WeightFormat::kBF16));
  const auto wide = load_changed("gpt_neox", "parallel", load_options(WeightFormat::kBF16),
                                 [](Checkpoint& checkpoint) {
                                   for (auto& [name, tensor] : checkpoint)
                                     tensor = converted(tensor, DType::kF32);
                                 });
  EXPECT_EQ(logits(*plain), logits(*wide));
}

TEST(Loader, ReportsProgressUpToTheEnd) {
  LoadOptions options = as_stored();
  int64_t last = -1, whole = 0;
  options.progress = [&](const char*, int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    last = done;
    whole = total;
  };
  find_variant("llama", "grouped").load(options);
  EXPECT_GT(whole, 0);
  EXPECT_EQ(last, whole);
}

TEST(RandomWeights, NeedOnlyAConfigAndAreTheSameEveryTime) {
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16}) {
    const TemporaryFolder folder;
    find_variant("llama", "biased").make_folder(folder, [](Json&) {});
    std::filesystem::remove(folder.path() / "model.safetensors");
    LoadOptions options = load_options(format);
    options.random_weights = true;
    const auto first = Model::load(folder.path(), options);
    ThreadTeam team(2);
    run_on_test_device(options, &team);
    const auto second = Model::load(folder.path(), options);
    const std::vector<float> values = logits(*first);
    EXPECT_EQ(values, logits(*second));
    for (const float value : values) ASSERT_TRUE(std::isfinite(value));
    if (on_gpu()) continue;
    // The last of [97, 36] outputs lie in a panel of 64 that is mostly padding: it must be zero.
    const Linear& head = first->impl().weights.head;
    const auto* bytes = static_cast<const std::byte*>(head.weight());
    const size_t size = dtype_size(plain_type(format));
    const size_t group = format == WeightFormat::kBF16 ? 2 : 1;
    const size_t last_output = (36 * 64 + (97 - 64) * group) * size;
    const std::vector<std::byte> zeros((64 - 33) * group * size);
    EXPECT_EQ(std::memcmp(bytes + last_output, zeros.data(), zeros.size()), 0);
    EXPECT_NE(std::memcmp(bytes + last_output - size, zeros.data(), size), 0);
  }
}

TEST(RandomWeights, MoreThanTheMachineHasIsAnErrorBeforeAllocation) {
  const TemporaryFolder folder;
  find_variant("llama", "grouped").make_folder(folder, [](Json& config) {
    config["hidden_size"] = 131064;
    config["intermediate_size"] = 1 << 19;
    config["num_hidden_layers"] = 1024;
  });
  LoadOptions options = as_stored();
  options.random_weights = true;
  try {
    Model::load(folder.path(), options);
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("GiB"));
  }
}

TEST(RunSequences, RefusesWhatTheModelCannotRead) {
  const auto model = find_variant("gpt2", "plain").load(as_stored());
  EXPECT_THROW(run_sequences(*model, {{}}, 8), Error);
  EXPECT_THROW(run_sequences(*model, {{97}}, 8), Error);
  EXPECT_THROW(run_sequences(*model, {{-1}}, 8), Error);
  EXPECT_THROW(run_sequences(*model, {std::vector<int32_t>(321, 1)}, 8), Error);
}

}  // namespace
}  // namespace tensormill
