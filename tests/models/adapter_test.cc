// LoRA adapters merged into their bases, against what peft computes with them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "artifacts/adapter.h"
#include "artifacts/model_folder.h"
#include "artifacts/safetensors_writer.h"
#include "base/error.h"
#include "models/describe.h"
#include "parity.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

fs::path adapters() {
  return fs::path(TENSORMILL_GOLDEN) / "artifacts" / "adapters";
}

// base/ and adapter/ of one case, side by side.
class AdapterFolder {
 public:
  explicit AdapterFolder(const std::string& name) {
    const Json about = read_json_file(adapters() / name / "case.json");
    const TemporaryFolder base;
    find_variant(about.at("family"), about.at("variant")).make_folder(base, [](Json&) {});
    fs::copy(base.path(), folder_.path() / "base", fs::copy_options::recursive);
    fs::copy(adapters() / name, path(), fs::copy_options::recursive);
    ids = about.at("ids").get<std::vector<int32_t>>();
    rows = about.at("rows").get<std::vector<int32_t>>();
  }

  fs::path path() const { return folder_.path() / "adapter"; }
  fs::path base() const { return folder_.path() / "base"; }
  void change_config(const Json& changes) const {
    Json config = read_json_file(path() / "adapter_config.json");
    config.merge_patch(changes);
    folder_.write("adapter/adapter_config.json", config.dump());
  }

  std::vector<int32_t> ids, rows;

 private:
  TemporaryFolder folder_;
};

class AdapterParity : public testing::TestWithParam<std::string> {};

TEST_P(AdapterParity, LogitsAreThoseOfPeft) {
  const AdapterFolder folder(GetParam());
  const auto model = Model::load(folder.path(), load_options(WeightFormat::kF32));
  const TemporaryFolder expected_folder;
  fs::copy_file(folder.path() / "expected.safetensors",
                expected_folder.path() / "model.safetensors");
  const auto index = open_checkpoint(expected_folder.path());
  const TensorView& expected = index->find("logits")->view;
  const int32_t vocabulary = model->info().vocabulary;
  ASSERT_EQ(expected.shape[1], vocabulary);
  const AllRows all = run_sequences(*model, {folder.ids}, 64);
  Difference difference;
  for (size_t i = 0; i < folder.rows.size(); ++i) {
    difference.add(&all.logits[static_cast<size_t>(folder.rows[i] * vocabulary)],
                   static_cast<const float*>(expected.data) + i * static_cast<size_t>(vocabulary),
                   vocabulary);
  }
  EXPECT_LE(difference.relative(), 1e-5);
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(adapters())) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Peft, AdapterParity, testing::ValuesIn(cases()),
                         [](const auto& item) { return item.param; });

std::string load_error(const fs::path& folder) {
  try {
    Model::load(folder, load_options(WeightFormat::kF32));
  } catch (const Error& error) {
    return error.what();
  }
  return "loaded";
}

std::string error_with(const std::string& name, const Json& changes) {
  const AdapterFolder folder(name);
  folder.change_config(changes);
  return load_error(folder.path());
}

TEST(AdapterErrors, RefusesWhatCannotBeMergedByName) {
  const auto with = [](const Json& changes) { return error_with("falcon_fused", changes); };
  EXPECT_THAT(with({{"peft_type", "PREFIX_TUNING"}}),
              AllOf(HasSubstr("adapter_config.json"), HasSubstr("\"PREFIX_TUNING\""),
                    HasSubstr("only LORA")));
  EXPECT_THAT(with({{"init_lora_weights", "pissa_niter_4"}}), HasSubstr("changes the base"));
  EXPECT_THAT(with({{"layer_replication", {{0, 1}}}}), HasSubstr("\"layer_replication\""));
  EXPECT_THAT(with({{"target_parameters", {"x"}}}), HasSubstr("\"target_parameters\""));
  EXPECT_THAT(with({{"use_qalora", true}}), HasSubstr("\"use_qalora\": true is not supported"));
  EXPECT_THAT(with({{"target_modules", "(dense"}}), HasSubstr("the pattern \"(dense\""));
  EXPECT_THAT(with({{"r", "many"}}), HasSubstr("\"r\": expected whole numbers"));
}

TEST(AdapterErrors, NameFileModuleAndShape) {
  EXPECT_THAT(error_with("falcon_fused", {{"r", 3}}),
              AllOf(HasSubstr("adapter_model.safetensors"), HasSubstr("lora_A"),
                    HasSubstr("3 rows, the rank that")));
  EXPECT_THAT(error_with("falcon_fused", {{"use_dora", true}}),
              HasSubstr("lora_magnitude_vector is missing"));
  EXPECT_THAT(error_with("falcon_fused", {{"target_modules", {"nothing"}}}),
              HasSubstr("none of its"));
  EXPECT_THAT(error_with("llama_tokens", {{"trainable_token_indices", {1, 2, 97}}}),
              HasSubstr("97 is no row"));
  const AdapterFolder folder("falcon_fused");
  fs::remove(folder.path() / "adapter_model.safetensors");
  EXPECT_THAT(load_error(folder.path()), HasSubstr("without weights: expected adapter_model"));
}

TEST(AdapterErrors, AnotherBaseIsNoticed) {
  const AdapterFolder folder("llama_lora_bias"), other("mixtral_experts"), wide("llama_tokens");
  folder.change_config({{"base_model_name_or_path", other.base().string()}});
  EXPECT_THAT(load_error(folder.path()),
              AllOf(HasSubstr("gate_proj"), HasSubstr("the base model has no"),
                    HasSubstr("of another base model than")));
}

TEST(AdapterFolders, TheBaseIsFoundByPathOrInTheHubsCache) {
  const AdapterFolder folder("falcon_fused");
  EXPECT_EQ(find_model_parts(folder.path()).base, folder.base());
  EXPECT_EQ(find_model_parts(folder.path()).tokenizer, folder.base());
  folder.change_config({{"base_model_name_or_path", folder.base().string()}});
  EXPECT_EQ(find_model_parts(folder.path()).base, folder.base());
  std::ofstream(folder.path() / "tokenizer.json") << "{}";
  EXPECT_EQ(find_model_parts(folder.path()).tokenizer, folder.path());

  const TemporaryFolder cache;
  const fs::path repository = cache.path() / "models--some--model";
  fs::create_directories(repository / "refs");
  fs::create_directories(repository / "snapshots");
  std::ofstream(repository / "refs/main") << "abc123\n";
  fs::copy(folder.base(), repository / "snapshots/abc123", fs::copy_options::recursive);
  ::setenv("HF_HUB_CACHE", cache.path().c_str(), 1);
  folder.change_config({{"base_model_name_or_path", "some/model"}});
  EXPECT_EQ(find_model_parts(folder.path()).base, repository / "snapshots/abc123");
  folder.change_config({{"base_model_name_or_path", "some/other"}});
  EXPECT_THAT(load_error(folder.path()), AllOf(HasSubstr("\"some/other\" is neither a folder"),
                                               HasSubstr(cache.path().c_str())));
  ::unsetenv("HF_HUB_CACHE");
}

TEST(AdapterFolders, AFolderWithAWholeModelIsOne) {
  const AdapterFolder folder("falcon_fused");
  fs::copy(folder.path() / "adapter_config.json", folder.base() / "adapter_config.json");
  EXPECT_FALSE(find_model_parts(folder.base()).adapter);
  EXPECT_EQ(find_model_parts(folder.base()).base, folder.base());
}

TEST(AdapterFolders, AGgufBaseIsRefusedWithWhatToDo) {
  const AdapterFolder folder("falcon_fused");
  fs::remove_all(folder.base());
  fs::create_directory(folder.base());
  std::ofstream(folder.base() / "model.gguf") << "GGUF";
  EXPECT_THAT(load_error(folder.path()),
              AllOf(HasSubstr("model.gguf"), HasSubstr("tensormill convert")));
}

}  // namespace
}  // namespace tensormill
