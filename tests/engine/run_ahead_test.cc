// Steps that are launched before the results of the last one are known: answers are those of the
// engine that waits.

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/async_runner.h"
#include "engine/engine.h"

namespace tensormill {
namespace {

using Seen = AsyncHashRunner::Seen;
const FakeTokenizer kTokenizer;

// Prompts (some with a common beginning), lengths, ways to sample and to end, all mixed.
GenerationRequest varied(int32_t i, EventSink& sink) {
  GenerationRequest result;
  const int32_t common = i % 3 == 0 ? 70 : 0;
  for (int32_t p = 0; p < common; ++p) result.prompt.push_back(p * 5 % 58);
  for (int32_t p = 0; p <= i * 29 % 90; ++p) result.prompt.push_back((p * 7 + i) % 58);
  result.max_new_tokens = i % 7 == 5 ? 1 + i % 3 : 20 + i * 13 % 60;
  result.sampling.sample = i % 2 == 1;
  result.sampling.seed = static_cast<uint64_t>(i) << 33 | 5;
  result.sampling.top_p = 0.9f;
  result.sampling.repetition_penalty = i % 4 == 2 ? 1.2f : 1.0f;
  result.sampling.frequency_penalty = i % 4 == 3 ? 0.5f : 0.0f;
  result.sampling.no_repeat_ngram_size = i % 5 == 4 ? 2 : 0;
  result.top_log_probs = i % 6 == 1 ? 3 : 0;
  result.ignore_eos = i % 2 == 0;
  result.min_new_tokens = i % 4 == 1 ? 6 : 0;
  if (i % 5 == 1) result.stop_strings = {"e", "stop"};
  result.include_stop = i % 10 == 1;
  result.sink = &sink;
  return result;
}

// As varied(), and some that a device can't choose for: always, or only at first.
GenerationRequest varied_beyond(int32_t i, EventSink& sink) {
  GenerationRequest result = varied(i, sink);
  if (i % 8 == 3) result.top_log_probs = kMaxTop + 10;
  if (i % 8 == 6) {
    result.min_new_tokens = 8;
    for (int32_t id = 0; id <= kMaxBanned; ++id) result.eos_ids.push_back(id * 3);
    result.ignore_eos = false;
  }
  return result;
}

// As varied(), with tokens that may not come or must; the device can obey some of these rules.
GenerationRequest varied_rules(int32_t i, EventSink& sink) {
  GenerationRequest result = varied(i, sink);
  TokenRules rules;
  if (i % 3 == 1) rules.suppressed = {7, 9, 11};
  if (i % 9 == 4) {
    for (int32_t id = 0; id <= kMaxBanned; ++id) rules.suppressed.push_back(id * 2 + 1);
  }
  if (i % 4 == 1) rules.begin_suppressed = {1, 2, 3, 4, 5, 6, 30, 31, 32};
  if (i % 5 == 2) rules.bad_words = {{12}, {40}};
  if (i % 10 == 2) rules.bad_words = {{12, 13}, {14}, {15, 16, 17}};
  if (i % 6 == 4) rules.last = {20};
  result.rules = std::make_shared<const TokenRules>(rules);
  return result;
}

using MakeRequest = GenerationRequest (*)(int32_t, EventSink&);

std::vector<Answer> run(Engine& engine, CollectingSink& sink, int32_t count, MakeRequest make) {
  std::vector<uint64_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(engine.submit(make(i, sink)));
  sink.wait_ended(static_cast<size_t>(count));
  std::vector<Answer> answers;
  for (const uint64_t id : ids) answers.push_back(sink.answer(id));
  return answers;
}

std::vector<Answer> waiting_answers(int32_t count, MakeRequest make, const ModelInfo& info) {
  CollectingSink sink;
  EngineOptions options;
  options.max_sequences = 1;
  options.prefix_sharing = false;
  Engine engine(std::make_unique<HashRunner>(info), kTokenizer, options);
  return run(engine, sink, count, make);
}

void expect_same(const std::vector<Answer>& a, const std::vector<Answer>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(a[i].tokens, b[i].tokens);
    EXPECT_EQ(a[i].log_probs, b[i].log_probs);
    EXPECT_EQ(a[i].text, b[i].text);
    EXPECT_EQ(a[i].finish, b[i].finish);
    EXPECT_EQ(a[i].error, b[i].error);
    EXPECT_EQ(a[i].ends, 1);
    EXPECT_EQ(a[i].admissions, 1);
  }
}

void expect_all_back(const Engine& engine) {
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.blocks_free, stats.blocks_total);
}

class RunAhead : public testing::TestWithParam<Pace> {
 protected:
  std::unique_ptr<Engine> start(const EngineOptions& options, const ModelInfo& info = fake_info()) {
    return std::make_unique<Engine>(std::make_unique<AsyncHashRunner>(GetParam(), seen_, info),
                                    kTokenizer, options);
  }
  Seen seen_;
  CollectingSink sink_;
};

TEST_P(RunAhead, AnswersAreThoseOfTheEngineThatWaits) {
  constexpr int32_t kCount = 96;
  int64_t preemptions = 0, shared = 0;
  for (const int32_t dynamic_rope_from : {0, 60}) {
    ModelInfo info = fake_info();
    info.dynamic_rope_from = dynamic_rope_from;
    const std::vector<Answer> expected = waiting_answers(kCount, varied, info);
    for (const int32_t blocks : {1000, 30, 12}) {
      SCOPED_TRACE(blocks);
      const int64_t launched = seen_.launched, overlapped = seen_.overlapped;
      EngineOptions options;
      options.max_sequences = 40;
      options.step_token_budget = 64;
      options.cache_bytes = blocks * kBlockTokens * info.cache_bytes_per_token;
      const auto engine = start(options, info);
      CollectingSink sink;
      expect_same(run(*engine, sink, kCount, varied), expected);
      expect_all_back(*engine);
      preemptions += engine->stats().preemptions;
      shared += engine->stats().shared_prefix_tokens;
      if (blocks == 1000) {  // every step but the first overlaps the one before
        EXPECT_GT(seen_.overlapped - overlapped, (seen_.launched - launched) * 9 / 10);
      }
    }
  }
  EXPECT_GT(preemptions, 0);
  EXPECT_GT(shared, 0);
  EXPECT_GT(seen_.tokens_ahead, 0);
  EXPECT_EQ(seen_.with_logits, 0);
}

TEST_P(RunAhead, TheHostChoosesWhatTheDeviceCannot) {
  constexpr int32_t kCount = 64;
  const std::vector<Answer> expected = waiting_answers(kCount, varied_beyond, fake_info());
  for (const int32_t blocks : {1000, 40}) {
    EngineOptions options;
    options.max_sequences = 16;
    options.cache_bytes = blocks * kBlockTokens * 16;
    const auto engine = start(options);
    CollectingSink sink;
    expect_same(run(*engine, sink, kCount, varied_beyond), expected);
    expect_all_back(*engine);
  }
  EXPECT_GT(seen_.with_logits, 0);
  EXPECT_GT(seen_.overlapped, 0);
}

TEST_P(RunAhead, RulesOnTokensHoldOnBothSides) {
  constexpr int32_t kCount = 64;
  const std::vector<Answer> expected = waiting_answers(kCount, varied_rules, fake_info());
  EXPECT_EQ(expected[4].tokens.back(), 20);  // forced at its limit
  EngineOptions options;
  options.max_sequences = 16;
  const auto engine = start(options);
  CollectingSink sink;
  expect_same(run(*engine, sink, kCount, varied_rules), expected);
  EXPECT_GT(seen_.with_logits, 0);
}

TEST_P(RunAhead, TopTokensCome) {
  class Sink : public EventSink {
   public:
    void deliver(std::span<TokenEvent> events) override {
      for (TokenEvent& event : events) {
        EXPECT_EQ(event.top.size(), 4u);
        EXPECT_EQ(event.top.front().id, event.token);
        if (event.finish != FinishReason::kNone) done = true;
      }
      done.notify_all();
    }
    std::atomic<bool> done = false;
  } sink;
  const auto engine = start({});
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_new_tokens = 5;
  request.ignore_eos = true;
  request.top_log_probs = 4;
  request.sink = &sink;
  engine->submit(request);
  sink.done.wait(false);
}

// The last token's step is known before it is launched, so nothing is computed for nothing.
TEST_P(RunAhead, NoStepFollowsTheLastToken) {
  const auto engine = start({});
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_new_tokens = 7;
  request.ignore_eos = true;
  request.sink = &sink_;
  engine->submit(request);
  sink_.wait_ended(1);
  EXPECT_EQ(seen_.launched, 7);
  EXPECT_EQ(engine->stats().decode_tokens, 6);
}

TEST_P(RunAhead, CancelledOnesComeAndGo) {
  EngineOptions options;
  options.max_sequences = 12;
  options.cache_bytes = 70 * kBlockTokens * 16;
  CollectingSink sinks[4];
  const auto engine = start(options);
  std::vector<std::thread> threads;
  for (CollectingSink& sink : sinks) {
    threads.emplace_back([&] {
      for (int32_t i = 0; i < 200; ++i) {
        const uint64_t id = engine->submit(varied_beyond(i, sink));
        if (i % 10 == 9) engine->cancel(id);
        if (i % 10 == 8) {
          std::this_thread::sleep_for(std::chrono::microseconds(100));
          engine->cancel(id);
        }
      }
      sink.wait_ended(200);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine->stats().finished + engine->stats().cancelled, 800);
  EXPECT_GT(engine->stats().cancelled, 0);
  expect_all_back(*engine);
}

// Who takes a seat that a cancelled one left behind finds nothing of it.
TEST_P(RunAhead, OthersAreNotDisturbedByCancelledOnes) {
  constexpr int32_t kCount = 64;
  const std::vector<Answer> expected = waiting_answers(kCount, varied, fake_info());
  EngineOptions options;
  options.max_sequences = 6;
  const auto engine = start(options);
  CollectingSink others;
  std::vector<uint64_t> ids;
  for (int32_t i = 0; i < kCount; ++i) {
    GenerationRequest other = varied(i + 7, others);
    other.max_new_tokens = 500;
    other.ignore_eos = true;
    other.stop_strings.clear();
    const uint64_t cancelled = engine->submit(std::move(other));
    ids.push_back(engine->submit(varied(i, sink_)));
    others.wait_tokens(cancelled, 2);
    engine->cancel(cancelled);
  }
  sink_.wait_ended(kCount);
  others.wait_ended(kCount);
  std::vector<Answer> answers;
  for (const uint64_t id : ids) answers.push_back(sink_.answer(id));
  expect_same(answers, expected);
  expect_all_back(*engine);
}

TEST_P(RunAhead, DrainLetsRunningOnesFinishAndCancelsAtTheDeadline) {
  const auto engine = start({});
  GenerationRequest request = varied(0, sink_);
  const uint64_t id = engine->submit(request);
  sink_.wait_tokens(id, 1);
  engine->drain(std::chrono::steady_clock::now() + std::chrono::seconds(60));
  EXPECT_EQ(sink_.answer(id).finish, FinishReason::kLength);
  EXPECT_THROW(engine->submit(request), Error);

  EngineOptions options;
  options.max_tokens = 4000;
  Seen seen;
  const auto other = std::make_unique<Engine>(std::make_unique<AsyncHashRunner>(GetParam(), seen),
                                              kTokenizer, options);
  CollectingSink sink;
  request.max_new_tokens = 3800;
  request.sink = &sink;
  const uint64_t cut = other->submit(request);
  other->drain(std::chrono::steady_clock::now());
  EXPECT_EQ(sink.answer(cut).ends, 1);
  expect_all_back(*other);
}

TEST_P(RunAhead, DestructorCancelsWhatIsLeft) {
  uint64_t id = 0;
  {
    EngineOptions options;
    options.max_tokens = 4000;
    const auto engine = start(options);
    GenerationRequest request = varied(0, sink_);
    request.max_new_tokens = 3800;
    id = engine->submit(request);
    sink_.wait_tokens(id, 2);
  }
  EXPECT_EQ(sink_.answer(id).finish, FinishReason::kCancelled);
  EXPECT_EQ(sink_.answer(id).ends, 1);
}

// Those of the step, and of the one behind it that needs its tokens; later ones are as ever.
TEST_P(RunAhead, FailedStepsFailTheirRequestsAlone) {
  const std::vector<Answer> expected = waiting_answers(8, varied, fake_info());
  for (std::atomic<int64_t>* const fail : {&seen_.fail_launch, &seen_.fail_work}) {
    for (const int64_t step : {0, 1, 5}) {
      SCOPED_TRACE(step);
      *fail = step;
      CollectingSink sink;
      const auto engine = start({});
      std::vector<uint64_t> ids;
      for (int32_t i = 0; i < 8; ++i) ids.push_back(engine->submit(varied(i, sink)));
      sink.wait_ended(8);
      int failed = 0;
      for (size_t i = 0; i < ids.size(); ++i) {
        const Answer answer = sink.answer(ids[i]);
        EXPECT_EQ(answer.ends, 1);
        EXPECT_LE(answer.tokens.size(), expected[i].tokens.size());
        EXPECT_TRUE(
            std::equal(answer.tokens.begin(), answer.tokens.end(), expected[i].tokens.begin()));
        failed += answer.finish == FinishReason::kError;
      }
      EXPECT_GT(failed, 0);
      expect_all_back(*engine);
      EXPECT_FALSE(engine->stats().lost);
      *fail = -1;
      CollectingSink again;
      expect_same(run(*engine, again, 8, varied), expected);
      EXPECT_EQ(engine->stats().failed_steps, 0);
    }
  }
}

TEST_P(RunAhead, ALostDeviceIsToldAndFailsEveryRequest) {
  seen_.fail_from = 3;
  const auto engine = start({});
  CollectingSink sink;
  std::vector<uint64_t> ids;
  for (int32_t i = 0; i < 8; ++i) {
    GenerationRequest request = varied(i, sink);
    request.max_new_tokens = 100;
    ids.push_back(engine->submit(request));
  }
  sink.wait_ended(8);
  EXPECT_TRUE(engine->stats().lost);
  const int32_t failed = engine->stats().failed_steps;
  EXPECT_GT(failed, 0);
  ids.push_back(engine->submit(varied(0, sink)));
  sink.wait_ended(9);
  EXPECT_EQ(sink.answer(ids.back()).finish, FinishReason::kError);
  EXPECT_GT(engine->stats().failed_steps, failed);
  expect_all_back(*engine);
}

std::string test_name(const testing::TestParamInfo<Pace>& info) {
  return info.param == Pace::kEager ? "eager" : "lazy";
}

INSTANTIATE_TEST_SUITE_P(Paces, RunAhead, testing::Values(Pace::kEager, Pace::kLazy), test_name);

}  // namespace
}  // namespace tensormill
