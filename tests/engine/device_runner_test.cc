// The engine on a device that works by itself: what a request gets there is what it gets on the
// host.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "../scratch.h"
#include "engine/engine.h"
#include "engine/fake_device.h"
#include "engine/fakes.h"
#include "kernels/cpu_stream.h"
#include "models/model.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

class OnDevice : public testing::Test {
 protected:
  OnDevice() : folder_(scratch_folder("tensormill_engine_device")) {
    const fs::path golden = fs::path(TENSORMILL_GOLDEN) / "models" / "llama";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::copy_file(golden / "grouped.config.json", folder_ / "config.json");
    fs::copy_file(golden / "grouped.weights.safetensors", folder_ / "model.safetensors");
    options_.max_tokens = 200;
    options_.max_sequences = 12;
    options_.step_token_budget = 48;
  }
  ~OnDevice() override { fs::remove_all(folder_); }

  std::unique_ptr<Model> load(const KernelTable& kernels, Device* device) {
    LoadOptions load;
    load.kernels = &kernels;
    load.stream = cpu_stream(&team_);
    load.format = WeightFormat::kBF16;
    load.device = device;
    return Model::load(folder_, load);
  }

  static GenerationRequest request(int32_t i, int32_t vocabulary, EventSink& sink) {
    GenerationRequest result;
    for (int32_t p = 0; p <= i * 29 % 50; ++p) {
      result.prompt.push_back((p * 7 + i % 3 * 13) % vocabulary);
    }
    result.max_new_tokens = 10 + i * 13 % 40;
    result.ignore_eos = true;
    result.sampling.sample = i % 4 == 3;
    result.sampling.seed = static_cast<uint64_t>(i);
    result.sampling.repetition_penalty = i % 5 == 2 ? 1.3f : 1.0f;
    result.top_log_probs = i % 8 == 5 ? kMaxTop + 1 : 0;
    result.sink = &sink;
    return result;
  }
  std::vector<Answer> run(const Model& model, EngineStats* stats = nullptr) {
    const auto tokenizer = byte_tokenizer(model.info().vocabulary);
    CollectingSink sink;
    Engine engine(model, *tokenizer, options_);
    std::vector<uint64_t> ids;
    for (int32_t i = 0; i < 40; ++i) {
      ids.push_back(engine.submit(request(i, model.info().vocabulary, sink)));
    }
    sink.wait_ended(ids.size());
    std::vector<Answer> answers;
    for (const uint64_t id : ids) answers.push_back(sink.answer(id));
    if (stats != nullptr) *stats = engine.stats();
    return answers;
  }
  void expect_answers_of_the_host(const std::vector<Answer>& answers) {
    const std::vector<Answer> expected = run(*load(*cpu_kernels("auto"), nullptr));
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(answers[i].finish, FinishReason::kLength) << answers[i].error;
      EXPECT_EQ(answers[i].tokens, expected[i].tokens) << i;
      EXPECT_EQ(answers[i].log_probs, expected[i].log_probs) << i;
    }
  }

  fs::path folder_;
  ThreadTeam team_{1};
  FakeDevice device_;
  EngineOptions options_;
};

TEST_F(OnDevice, AnswersAreThoseOfTheHost) {
  const auto model = load(FakeDevice::kernels(), &device_);
  EngineStats stats;
  expect_answers_of_the_host(run(*model, &stats));
  EXPECT_GT(stats.shared_prefix_tokens, 0);
  EXPECT_GT(device_.recorded, 0);
  EXPECT_LE(device_.recorded, 2 * 40);  // sizes of a batch up to 12, and of prompts
  EXPECT_GT(device_.replayed, device_.recorded);
}

TEST_F(OnDevice, FewBlocksPreempt) {
  const auto model = load(FakeDevice::kernels(), &device_);
  options_.cache_bytes = 14 * kBlockTokens * model->info().cache_bytes_per_token;
  EngineStats stats;
  const std::vector<Answer> answers = run(*model, &stats);
  EXPECT_GT(stats.preemptions, 0);
  expect_answers_of_the_host(answers);
}

TEST_F(OnDevice, NothingNeedsToBeRecorded) {
  const auto model = load(FakeDevice::kernels(), &device_);
  options_.record_steps = false;
  expect_answers_of_the_host(run(*model));
  EXPECT_EQ(device_.recorded, 0);
  options_.record_steps = true;
  device_.records = false;
  expect_answers_of_the_host(run(*model));
  device_.fails_to_record = true;
  expect_answers_of_the_host(run(*model));
}

TEST_F(OnDevice, TheHostChoosesWhereTheDeviceCannot) {
  const auto model = load(*cpu_kernels("auto"), &device_);
  expect_answers_of_the_host(run(*model));
}

TEST_F(OnDevice, TheCacheTakesWhatIsLeft) {
  const auto model = load(FakeDevice::kernels(), &device_);
  const auto tokenizer = byte_tokenizer(model->info().vocabulary);
  const int64_t block = model->info().cache_bytes_per_token * kBlockTokens;
  const int64_t all = 7 * 12 * block;  // 7 blocks hold 200 tokens
  options_.prefix_sharing = false;
  EXPECT_EQ(Engine(*model, *tokenizer, options_).options().cache_bytes, all);
  options_.prefix_sharing = true;
  EXPECT_EQ(Engine(*model, *tokenizer, options_).options().cache_bytes, 4 * all);

  device_.bytes = (device_.bytes - device_.available()) + 3 * all;
  {
    const Engine engine(*model, *tokenizer, options_);
    EXPECT_GT(device_.available(), device_.bytes / 10);
    EXPECT_LT(device_.available(), device_.bytes / 10 + block);
  }
  options_.gpu_memory_utilization = 0.01;
  try {
    const Engine engine(*model, *tokenizer, options_);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory);
    for (const char* part : {"fake:0", "max_tokens", "gpu_memory_utilization", "200 tokens"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  options_.gpu_memory_utilization = 1.5;
  EXPECT_THROW(Engine(*model, *tokenizer, options_), Error);
}

}  // namespace
}  // namespace tensormill
