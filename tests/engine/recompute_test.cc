// A model that caches nothing: each token computes its whole sequence again.

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "../device.h"
#include "../scratch.h"
#include "engine/engine.h"
#include "engine/fakes.h"
#include "engine/memory_plan.h"
#include "engine/scheduler.h"
#include "models/model.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

TEST(Recompute, SchedulerPlansWholeSequencesWithoutBlocks) {
  BlockPool pool(1);
  SchedulerOptions options;
  options.max_sequences = 3;
  options.token_budget = 50;
  options.max_tokens = 100;
  options.rules = {false, false, true, true};
  Scheduler scheduler(pool, options);
  std::vector<Sequence> sequences(3);
  for (Sequence& sequence : sequences) {
    sequence.tokens.assign(20, 1);
    sequence.prompt = 20;
    scheduler.add(&sequence);
  }
  for (int32_t step = 0; step < 5; ++step) {
    const std::span<const StepItem> items = scheduler.plan();
    ASSERT_EQ(items.size(), 2u);  // the third would be beyond the budget
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(items[i].sequence, &sequences[i]);
      EXPECT_EQ(items[i].first, 0);
      EXPECT_EQ(items[i].count, 20 + step);
      EXPECT_TRUE(items[i].samples);
    }
    scheduler.launched();
    scheduler.complete(items);
    for (const StepItem& item : items) item.sequence->tokens.push_back(2);
  }
  scheduler.remove(&sequences[0]);
  const std::span<const StepItem> items = scheduler.plan();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[1].sequence, &sequences[2]);
  EXPECT_EQ(scheduler.preemptions(), 0);
  EXPECT_EQ(pool.free(), 1);
}

TEST(Recompute, BlocksWithoutBytesAreEnoughForAll) {
  EngineOptions options;
  options.max_sequences = 4;
  options.max_tokens = 100;
  options.cache_bytes = int64_t{1} << 40;
  EXPECT_EQ(plan_cache(options, 0, {}).blocks, 16);
  EXPECT_EQ(plan_cache(options, 0, {}).bytes, 0);
}

std::vector<Answer> run(const Model& model, int32_t sequences, bool together, EngineStats& stats) {
  constexpr int32_t kCount = 12;
  const auto tokenizer = byte_tokenizer(model.info().vocabulary);
  CollectingSink sink;
  EngineOptions options;
  options.max_tokens = 200;
  options.max_sequences = sequences;
  options.step_token_budget = 100;
  Engine engine(model, *tokenizer, options);
  std::vector<uint64_t> ids;
  for (int32_t i = 0; i < kCount; ++i) {
    GenerationRequest request;
    for (int32_t p = 0; p <= i * 7 % 40; ++p) {
      request.prompt.push_back((p * 7 + i * 13) % model.info().vocabulary);
    }
    request.max_new_tokens = 10 + i;
    request.ignore_eos = true;
    request.sink = &sink;
    ids.push_back(engine.submit(std::move(request)));
    if (!together) sink.wait_ended(ids.size());
  }
  sink.wait_ended(ids.size());
  std::vector<Answer> answers;
  for (const uint64_t id : ids) answers.push_back(sink.answer(id));
  stats = engine.stats();
  return answers;
}

TEST(Recompute, CompanyDoesNotChangeBits) {
  const fs::path folder = scratch_folder("tensormill_engine_recompute");
  const fs::path golden = fs::path(TENSORMILL_GOLDEN) / "models" / "reformer";
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::copy_file(golden / "mixed.config.json", folder / "config.json");
  fs::copy_file(golden / "mixed.weights.safetensors", folder / "model.safetensors");
  ThreadTeam team(2);
  LoadOptions load;
  run_on_test_device(load, &team);
  load.format = WeightFormat::kBF16;
  const auto model = Model::load(folder, load);
  fs::remove_all(folder);

  EngineStats stats;
  const std::vector<Answer> alone = run(*model, 1, false, stats);
  EXPECT_EQ(stats.mean_decode_batch(), 1);
  const std::vector<Answer> together = run(*model, 8, true, stats);
  EXPECT_GT(stats.mean_decode_batch(), 1.5);
  EXPECT_EQ(stats.preemptions, 0);
  EXPECT_EQ(stats.shared_prefix_tokens, 0);
  for (size_t i = 0; i < alone.size(); ++i) {
    ASSERT_EQ(alone[i].finish, FinishReason::kLength) << alone[i].error;
    EXPECT_EQ(alone[i].tokens, together[i].tokens) << i;
    EXPECT_EQ(alone[i].log_probs, together[i].log_probs) << i;
  }
}

}  // namespace
}  // namespace tensormill
