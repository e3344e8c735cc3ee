#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/fakes.h"
#include "engine/scheduler.h"

namespace tensormill {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

const FakeTokenizer kTokenizer;

GenerationRequest request(std::vector<int32_t> prompt, int32_t new_tokens, EventSink& sink) {
  GenerationRequest result;
  result.prompt = std::move(prompt);
  result.max_new_tokens = new_tokens;
  result.sink = &sink;
  return result;
}

// A mix of prompts (some with a common beginning), lengths and ways to sample.
GenerationRequest varied(int32_t i, EventSink& sink) {
  std::vector<int32_t> prompt;
  const int32_t common = i % 3 == 0 ? 70 : 0;
  for (int32_t p = 0; p < common; ++p) prompt.push_back(p * 5 % 58);
  for (int32_t p = 0; p <= i * 29 % 90; ++p) prompt.push_back((p * 7 + i) % 58);
  GenerationRequest result = request(std::move(prompt), 20 + i * 13 % 60, sink);
  result.sampling.sample = i % 2 == 1;
  result.sampling.seed = static_cast<uint64_t>(i);
  result.sampling.top_p = 0.9f;
  result.sampling.repetition_penalty = i % 4 == 2 ? 1.2f : 1.0f;
  result.ignore_eos = true;
  return result;
}

void expect_same(const Answer& a, const Answer& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.log_probs, b.log_probs);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.finish, b.finish);
  EXPECT_EQ(a.error, b.error);
}

std::vector<Answer> answers_alone(int32_t count, const ModelInfo& info) {
  std::vector<Answer> answers;
  EngineOptions options;
  options.max_sequences = 1;
  options.prefix_sharing = false;
  options.step_token_budget = 1024;
  Engine engine(std::make_unique<HashRunner>(info), kTokenizer, options);
  CollectingSink sink;
  for (int32_t i = 0; i < count; ++i) {
    const uint64_t id = engine.submit(varied(i, sink));
    sink.wait_ended(static_cast<size_t>(i) + 1);
    answers.push_back(sink.answer(id));
  }
  return answers;
}

TEST(Engine, CompanyChunksAndPreemptionDoNotChangeAnswers) {
  constexpr int32_t kCount = 64;
  for (const int32_t dynamic_rope_from : {0, 60}) {
    ModelInfo info = fake_info();
    info.dynamic_rope_from = dynamic_rope_from;
    const std::vector<Answer> alone = answers_alone(kCount, info);
    ThreadTeam team(3);
    EngineOptions options;
    options.max_sequences = 40;
    options.step_token_budget = 64;
    options.cache_bytes = 60 * kBlockTokens * info.cache_bytes_per_token;
    options.team = &team;
    Engine engine(std::make_unique<HashRunner>(info), kTokenizer, options);
    CollectingSink sink;
    std::vector<uint64_t> ids;
    for (int32_t i = 0; i < kCount; ++i) ids.push_back(engine.submit(varied(i, sink)));
    sink.wait_ended(kCount);
    for (size_t i = 0; i < kCount; ++i) {
      SCOPED_TRACE(i);
      const Answer answer = sink.answer(ids[i]);
      EXPECT_EQ(answer.ends, 1);
      EXPECT_EQ(answer.admissions, 1);  // preempted or not
      EXPECT_TRUE(answer.admitted_first);
      EXPECT_EQ(answer.finish, FinishReason::kLength);
      expect_same(answer, alone[i]);
    }
    const EngineStats stats = engine.stats();
    EXPECT_GT(stats.preemptions, 0);
    EXPECT_GT(stats.shared_prefix_tokens, 0);
    EXPECT_EQ(stats.finished, kCount);
    EXPECT_EQ(stats.running + stats.waiting, 0);
    EXPECT_EQ(stats.blocks_free, stats.blocks_total);
    EXPECT_GT(stats.mean_decode_batch(), 5);
  }
}

TEST(Engine, ThousandRequestsFromManyThreads) {
  EngineOptions options;
  options.max_sequences = 32;
  options.cache_bytes = 150 * kBlockTokens * 16;
  Engine engine(std::make_unique<HashRunner>(), kTokenizer, options);
  CollectingSink sinks[4];
  std::vector<std::thread> threads;
  for (CollectingSink& sink : sinks) {
    threads.emplace_back([&] {
      for (int32_t i = 0; i < 250; ++i) {
        const uint64_t id = engine.submit(varied(i, sink));
        if (i % 10 == 9) engine.cancel(id);
      }
      sink.wait_ended(250);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.requests, 1000);
  EXPECT_EQ(stats.finished + stats.cancelled, 1000);
  EXPECT_GT(stats.cancelled, 0);
  EXPECT_EQ(stats.blocks_free, stats.blocks_total);
}

// Each row of a step takes a fifth of a millisecond.
class SlowRunner : public HashRunner {
 public:
  const float* step(const RaggedBatch& batch) override {
    std::this_thread::sleep_for(std::chrono::microseconds(200 * *batch.rows.count));
    rows.push_back(*batch.rows.count);
    return HashRunner::step(batch);
  }
  std::vector<int32_t> rows;  // of each step
};

// One request decodes while a long prompt comes.
std::vector<Answer> with_long_prompt(double target, std::vector<int32_t>& rows) {
  auto runner = std::make_unique<SlowRunner>();
  SlowRunner& slow = *runner;
  EngineOptions options;
  options.max_tokens = 4000;
  options.step_token_budget = 1000;
  options.inter_token_target = target;
  CollectingSink sink;
  Engine engine(std::move(runner), kTokenizer, options);
  GenerationRequest decoding = request({1, 2, 3}, 1500, sink);
  GenerationRequest prompt = request(std::vector<int32_t>(1500, 7), 3, sink);
  decoding.ignore_eos = prompt.ignore_eos = true;
  const uint64_t first = engine.submit(decoding);
  sink.wait_tokens(first, 5);
  const uint64_t second = engine.submit(prompt);
  sink.wait_ended(2);
  rows = slow.rows;
  return {sink.answer(first), sink.answer(second)};
}

TEST(Engine, PromptsAreCutToWhatTheTargetOfDecodingLeavesTime) {
  std::vector<int32_t> whole, cut;
  const std::vector<Answer> plain = with_long_prompt(0, whole);
  const std::vector<Answer> paced = with_long_prompt(0.02, cut);
  EXPECT_EQ(*std::max_element(whole.begin(), whole.end()), 1000);
  const int32_t most = *std::max_element(cut.begin(), cut.end());
  EXPECT_GT(most, Scheduler::kLeastChunk);
  EXPECT_LE(most, 150);  // 20 ms are 100 rows at most: sleeping never takes less
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].finish, FinishReason::kLength) << plain[i].error;
    expect_same(plain[i], paced[i]);
  }
}

TEST(Engine, SharedPrefixIsNotComputedAgain) {
  auto runner = std::make_unique<HashRunner>();
  HashRunner& seen = *runner;
  Engine engine(std::move(runner), kTokenizer, {});
  CollectingSink sink;
  std::vector<int32_t> prompt(100, 5);
  const uint64_t first = engine.submit(request(prompt, 1, sink));
  sink.wait_ended(1);
  EXPECT_EQ(seen.rows_seen, 100);
  const uint64_t second = engine.submit(request(prompt, 1, sink));
  sink.wait_ended(2);
  EXPECT_EQ(seen.rows_seen, 100 + 4);
  EXPECT_EQ(engine.stats().shared_prefix_tokens, 96);
  expect_same(sink.answer(first), sink.answer(second));
}

TEST(Engine, CancelEndsARequestOnce) {
  auto runner = std::make_unique<HashRunner>();
  runner->before_step = [] { std::this_thread::sleep_for(milliseconds(1)); };
  EngineOptions options;
  options.max_sequences = 1;
  Engine engine(std::move(runner), kTokenizer, options);
  CollectingSink sink;
  GenerationRequest asked = request({1}, 900, sink);
  asked.ignore_eos = true;
  const uint64_t running = engine.submit(asked);
  const uint64_t waiting = engine.submit(asked);
  sink.wait_tokens(running, 3);
  engine.cancel(waiting);
  engine.cancel(running);
  engine.cancel(running);
  engine.cancel(12345);
  sink.wait_ended(2);
  const uint64_t later = engine.submit(request({1}, 2, sink));
  sink.wait_ended(3);
  EXPECT_EQ(sink.answer(later).tokens.size(), 2u);
  for (const uint64_t id : {running, waiting}) {
    EXPECT_EQ(sink.answer(id).finish, FinishReason::kCancelled);
    EXPECT_EQ(sink.answer(id).ends, 1);
  }
  EXPECT_LT(sink.answer(running).tokens.size(), 900u);
  EXPECT_TRUE(sink.answer(waiting).tokens.empty());
  EXPECT_EQ(engine.stats().cancelled, 2);
}

TEST(Engine, DrainLetsRunningOnesFinish) {
  auto runner = std::make_unique<HashRunner>();
  runner->before_step = [] { std::this_thread::sleep_for(milliseconds(1)); };
  EngineOptions options;
  options.max_sequences = 1;
  Engine engine(std::move(runner), kTokenizer, options);
  CollectingSink sink;
  GenerationRequest asked = request({1}, 50, sink);
  asked.ignore_eos = true;
  const uint64_t running = engine.submit(asked);
  sink.wait_tokens(running, 1);
  const uint64_t waiting = engine.submit(asked);
  engine.drain(steady_clock::now() + std::chrono::seconds(60));
  EXPECT_EQ(sink.answer(running).finish, FinishReason::kLength);
  EXPECT_EQ(sink.answer(running).tokens.size(), 50u);
  EXPECT_EQ(sink.answer(waiting).finish, FinishReason::kError);
  EXPECT_EQ(sink.answer(waiting).error, "shutting down");
  EXPECT_EQ(sink.answer(running).admissions, 1);
  EXPECT_EQ(sink.answer(waiting).admissions, 0);
  try {
    engine.submit(asked);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOverloaded);
  }
}

TEST(Engine, DrainCancelsAtTheDeadline) {
  auto runner = std::make_unique<HashRunner>();
  runner->before_step = [] { std::this_thread::sleep_for(milliseconds(2)); };
  Engine engine(std::move(runner), kTokenizer, {});
  CollectingSink sink;
  GenerationRequest asked = request({1}, 1000, sink);
  asked.ignore_eos = true;
  const uint64_t id = engine.submit(asked);
  sink.wait_tokens(id, 1);
  engine.drain(steady_clock::now() + milliseconds(20));
  EXPECT_EQ(sink.answer(id).finish, FinishReason::kCancelled);
  engine.drain(steady_clock::now());  // nothing left: returns at once
}

TEST(Engine, DestructorCancelsWhatIsLeft) {
  CollectingSink sink;
  uint64_t id = 0;
  {
    auto runner = std::make_unique<HashRunner>();
    runner->before_step = [] { std::this_thread::sleep_for(milliseconds(1)); };
    Engine engine(std::move(runner), kTokenizer, {});
    GenerationRequest asked = request({1}, 1000, sink);
    asked.ignore_eos = true;
    id = engine.submit(asked);
    sink.wait_tokens(id, 2);
  }
  EXPECT_EQ(sink.answer(id).finish, FinishReason::kCancelled);
  EXPECT_EQ(sink.answer(id).ends, 1);
}

TEST(Engine, FailedStepFailsItsRequestsAlone) {
  auto runner = std::make_unique<HashRunner>();
  auto fail = std::make_shared<std::atomic<bool>>(true);
  runner->before_step = [fail] {
    if (fail->exchange(false)) throw std::runtime_error("the device is gone");
  };
  Engine engine(std::move(runner), kTokenizer, {});
  CollectingSink sink;
  const uint64_t first = engine.submit(request({1, 2}, 5, sink));
  sink.wait_ended(1);
  const uint64_t second = engine.submit(request({1, 2}, 5, sink));
  sink.wait_ended(2);
  EXPECT_EQ(sink.answer(first).finish, FinishReason::kError);
  EXPECT_EQ(sink.answer(first).error, "the device is gone");
  EXPECT_NE(sink.answer(second).finish, FinishReason::kError);
  EXPECT_EQ(engine.stats().blocks_free, engine.stats().blocks_total);
}

TEST(Engine, OverloadedWhenTheQueueIsFull) {
  auto runner = std::make_unique<HashRunner>();
  runner->before_step = [] { std::this_thread::sleep_for(milliseconds(2)); };
  EngineOptions options;
  options.max_sequences = 2;
  options.queue_size = 3;
  CollectingSink sink;  // outlives the engine, which cancels what is left
  Engine engine(std::move(runner), kTokenizer, options);
  GenerationRequest asked = request({1}, 1000, sink);
  asked.ignore_eos = true;
  int taken = 0;
  try {
    for (; taken < 100; ++taken) {
      const uint64_t id = engine.submit(asked);
      if (taken < 2) sink.wait_tokens(id, 1);
    }
    ADD_FAILURE() << "never full";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOverloaded);
    EXPECT_NE(std::string(error.what()).find("job_queue_size"), std::string::npos);
  }
  EXPECT_EQ(taken, 5);
  EXPECT_EQ(engine.stats().waiting, 3);
}

TEST(Engine, RefusesBadRequestsByName) {
  EngineOptions options;
  options.max_tokens = 64;
  options.cache_bytes = 1 * kBlockTokens * 16;  // one block
  Engine engine(std::make_unique<HashRunner>(), kTokenizer, options);
  CollectingSink sink;
  const auto message = [&](const GenerationRequest& bad) -> std::string {
    try {
      engine.submit(bad);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
      return error.what();
    }
    return "taken";
  };
  const auto expect_part = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect_part(message(request({}, 1, sink)), "empty");
  expect_part(message(request({1, 64}, 1, sink)), "token 64");
  expect_part(message(request({-1}, 1, sink)), "token -1");
  expect_part(message(request(std::vector<int32_t>(65, 1), 1, sink)),
              "Input with size 65 exceeds maximum length of 64. Please increase `max_tokens`.");
  expect_part(message(request(std::vector<int32_t>(64, 1), 1, sink)), "leaves no room");
  expect_part(message(request({1}, 0, sink)), "max_new_tokens");
  expect_part(message(request({1}, 40, sink)), "KV cache");
  GenerationRequest bad = request({1}, 1, sink);
  bad.sampling.top_p = 2;
  expect_part(message(bad), "top_p");
  bad = request({1}, 1, sink);
  bad.min_new_tokens = -1;
  expect_part(message(bad), "min_new_tokens");
  bad = request({1}, 1, sink);
  bad.top_log_probs = 1001;
  expect_part(message(bad), "top_log_probs");
  bad = request({1}, 1, sink);
  bad.stop_strings.assign(65, "x");
  expect_part(message(bad), "stop strings");
  EXPECT_EQ(engine.stats().requests, 0);
}

TEST(Engine, OptionsOutOfRangeAreRefused) {
  EngineOptions options;
  options.max_sequences = 0;
  EXPECT_THROW(Engine(std::make_unique<HashRunner>(), kTokenizer, options), Error);
  options = {};
  options.max_tokens = 5000;
  ModelInfo info = fake_info();
  info.hard_position_limit = true;
  const Engine engine(std::make_unique<HashRunner>(info), kTokenizer, options);
  EXPECT_EQ(engine.options().max_tokens, 4096);
  EXPECT_GT(engine.options().cache_bytes, 0);
}

}  // namespace
}  // namespace tensormill
