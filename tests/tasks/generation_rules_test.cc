// generation_config.json on a tiny model: greedy texts are those of transformers' generate.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "../device.h"
#include "base/json.h"
#include "engine/fakes.h"
#include "models/model.h"
#include "tasks/generation_config.h"
#include "tasks/text_generation.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

class GenerationRules : public testing::Test {
 protected:
  GenerationRules() : folder_(fs::path(testing::TempDir()) / "tensormill_generation_rules") {
    const fs::path golden = fs::path(TENSORMILL_GOLDEN) / "models" / "llama";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::copy_file(golden / "grouped.config.json", folder_ / "config.json");
    fs::copy_file(golden / "grouped.weights.safetensors", folder_ / "model.safetensors");
    LoadOptions load;
    run_on_test_device(load, &team_);
    load.format = WeightFormat::kF32;
    model_ = Model::load(folder_, load);
    tokenizer_ = byte_tokenizer(model_->info().vocabulary);
  }
  ~GenerationRules() override { fs::remove_all(folder_); }

  GenerationRequest request(const Json& item) const {
    std::ofstream(folder_ / "generation_config.json") << item["keys"].dump();
    const int32_t vocabulary = model_->info().vocabulary;
    const GenerationDefaults defaults = read_generation_defaults(folder_, vocabulary);
    GenerationRequest out;
    out.prompt = item["prompt"].get<std::vector<int32_t>>();
    out.eos_ids = item["keys"]["eos_token_id"].get<std::vector<int32_t>>();
    out.rules = defaults.rules;
    out.sampling.repetition_penalty = defaults.repetition_penalty.value_or(1.0f);
    out.sampling.no_repeat_ngram_size = defaults.no_repeat_ngram_size.value_or(0);
    const auto prompt = static_cast<int32_t>(out.prompt.size());
    out.max_new_tokens = defaults.max_length ? *defaults.max_length - prompt : 12;
    out.min_new_tokens = defaults.min_new_tokens.value_or(defaults.min_length.value_or(0) - prompt);
    out.min_new_tokens = std::max(out.min_new_tokens, 0);
    return out;
  }

  ThreadTeam team_{2};
  fs::path folder_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(GenerationRules, TextsAreThoseOfGenerate) {
  const Json cases = read_json_file(TENSORMILL_GOLDEN "/sampling/generate.json");
  ASSERT_GT(cases.size(), 10u);
  EngineOptions options;
  options.max_tokens = 64;
  options.step_token_budget = 8;
  CollectingSink sink;
  Engine engine(*model_, *tokenizer_, options);
  std::vector<uint64_t> ids;
  for (const Json& item : cases) {
    GenerationRequest asked = request(item);
    asked.sink = &sink;
    ids.push_back(engine.submit(std::move(asked)));
  }
  sink.wait_ended(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    SCOPED_TRACE(cases[i]["name"].get<std::string>());
    EXPECT_EQ(sink.answer(ids[i]).tokens, cases[i]["expected"].get<std::vector<int32_t>>())
        << sink.answer(ids[i]).error;
  }
}

}  // namespace
}  // namespace tensormill
