// The engine on real, tiny checkpoints: what a request gets does not depend on its company.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "../device.h"
#include "../scratch.h"
#include "engine/engine.h"
#include "engine/fakes.h"
#include "models/model.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

// A model folder of a fixture's config and weights.
class Folder {
 public:
  Folder(const std::string& config, const std::string& weights)
      : path_(scratch_folder("tensormill_engine_" + config)) {
    const fs::path golden = fs::path(TENSORMILL_GOLDEN) / "models" / "llama";
    fs::remove_all(path_);
    fs::create_directories(path_);
    fs::copy_file(golden / (config + ".config.json"), path_ / "config.json");
    fs::copy_file(golden / (weights + ".weights.safetensors"), path_ / "model.safetensors");
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

GenerationRequest request(int32_t i, int32_t vocabulary, EventSink& sink) {
  GenerationRequest result;
  const int32_t common = i % 3 == 0 ? 40 : 0;
  for (int32_t p = 0; p < common; ++p) result.prompt.push_back(p * 11 % vocabulary);
  for (int32_t p = 0; p <= i * 29 % 50; ++p) {
    result.prompt.push_back((p * 7 + i * 13) % vocabulary);
  }
  result.max_new_tokens = 30 + i * 13 % 40;
  result.ignore_eos = true;
  result.sampling.sample = i % 4 == 3;
  result.sampling.seed = static_cast<uint64_t>(i);
  result.sink = &sink;
  return result;
}

std::vector<Answer> run(const Model& model, const EngineOptions& options, int32_t count,
                        bool together, EngineStats& stats) {
  const auto tokenizer = byte_tokenizer(model.info().vocabulary);
  CollectingSink sink;
  Engine engine(model, *tokenizer, options);
  std::vector<uint64_t> ids;
  for (int32_t i = 0; i < count; ++i) {
    ids.push_back(engine.submit(request(i, model.info().vocabulary, sink)));
    if (!together) sink.wait_ended(ids.size());
  }
  sink.wait_ended(ids.size());
  std::vector<Answer> answers;
  for (const uint64_t id : ids) answers.push_back(sink.answer(id));
  stats = engine.stats();
  return answers;
}

struct OnModel {
  const char* name;
  std::optional<DType> cache;
};

class EngineOnModel : public testing::TestWithParam<OnModel> {};

void expect_same(const std::vector<Answer>& alone, const std::vector<Answer>& together) {
  for (size_t i = 0; i < alone.size(); ++i) {
    ASSERT_EQ(alone[i].finish, FinishReason::kLength) << alone[i].error;
    ASSERT_EQ(alone[i].tokens.size(), together[i].tokens.size()) << i;
    if (on_gpu()) continue;  // there the last bits may depend on a step's rows
    EXPECT_EQ(alone[i].tokens, together[i].tokens) << i;
    EXPECT_EQ(alone[i].log_probs, together[i].log_probs) << i;
  }
}

TEST_P(EngineOnModel, CompanyDoesNotChangeBits) {
  constexpr int32_t kCount = 64;
  const Folder folder(GetParam().name, "grouped");
  ThreadTeam team(2);
  LoadOptions load;
  run_on_test_device(load, &team);
  if (on_gpu() && GetParam().cache == DType::kI8) GTEST_SKIP() << "GPUs keep no int8";
  load.format = WeightFormat::kBF16;
  load.cache_type = GetParam().cache;
  const auto model = Model::load(folder.path(), load);

  EngineOptions options;
  options.max_tokens = 200;
  options.team = &team;
  EngineStats stats;
  options.max_sequences = 1;
  options.prefix_sharing = false;
  const std::vector<Answer> alone = run(*model, options, kCount, false, stats);
  options.max_sequences = 40;
  options.prefix_sharing = true;
  options.step_token_budget = 48;
  options.inter_token_target = 0;
  options.cache_bytes = 60 * kBlockTokens * model->info().cache_bytes_per_token;
  const std::vector<Answer> together = run(*model, options, kCount, true, stats);
  EXPECT_GT(stats.preemptions, 0);
  EXPECT_GT(stats.shared_prefix_tokens, 0);
  EXPECT_GT(stats.mean_decode_batch(), 5);
  expect_same(alone, together);
  options.inter_token_target = 1e-4;  // chunks of prompts differ from run to run
  expect_same(alone, run(*model, options, kCount, true, stats));
}

INSTANTIATE_TEST_SUITE_P(Ropes, EngineOnModel,
                         testing::Values(OnModel{"grouped", {}}, OnModel{"dynamic", {}},
                                         OnModel{"grouped", DType::kI8}));

}  // namespace
}  // namespace tensormill
