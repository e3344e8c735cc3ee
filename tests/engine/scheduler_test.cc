#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

namespace tensormill {
namespace {

std::unique_ptr<Sequence> sequence(int32_t prompt, int32_t first_token = 0) {
  auto result = std::make_unique<Sequence>();
  result->tokens.resize(static_cast<size_t>(prompt));
  std::iota(result->tokens.begin(), result->tokens.end(), first_token);
  result->prompt = prompt;
  return result;
}

struct Bench {
  explicit Bench(int32_t blocks, SchedulerOptions options = {})
      : pool(blocks), scheduler(pool, options) {}

  Sequence& add(int32_t prompt, int32_t first_token) {
    all.push_back(sequence(prompt, first_token));
    scheduler.add(all.back().get());
    return *all.back();
  }
  // One step; every sequence that samples gets a token.
  std::map<const Sequence*, int32_t> step(double work = std::numeric_limits<double>::infinity()) {
    std::map<const Sequence*, int32_t> counts;
    const std::span<const StepItem> items = scheduler.plan(true, work);
    for (const StepItem& item : items) counts[item.sequence] = item.count;
    scheduler.launched();
    scheduler.complete(items);
    for (const StepItem& item : items) {
      if (item.samples) item.sequence->tokens.push_back(9000 + next++);
    }
    return counts;
  }

  BlockPool pool;
  Scheduler scheduler;
  std::vector<std::unique_ptr<Sequence>> all;
  int32_t next = 0;
};

TEST(Scheduler, MixesDecodeTokensAndPromptChunks) {
  Bench s(64, {.max_sequences = 4, .token_budget = 10});
  Sequence& a = s.add(7, 0);
  Sequence& b = s.add(25, 1000);
  auto counts = s.step();
  EXPECT_EQ(counts[&a], 7);
  EXPECT_EQ(counts[&b], 3);
  counts = s.step();
  EXPECT_EQ(counts[&a], 1);
  EXPECT_EQ(counts[&b], 9);
  counts = s.step();
  EXPECT_EQ(counts[&b], 9);
  counts = s.step();
  EXPECT_EQ(counts[&b], 4);
  counts = s.step();
  EXPECT_EQ(counts[&a], 1);
  EXPECT_EQ(counts[&b], 1);
  EXPECT_EQ(a.tokens.size(), 7u + 5);
  EXPECT_EQ(b.tokens.size(), 25u + 2);
}

TEST(Scheduler, PromptsCostNoMoreThanAskedBesideSequencesThatDecode) {
  Bench s(200, {.max_sequences = 4, .token_budget = 100, .cost = {0.01}});
  Sequence& a = s.add(120, 0);
  EXPECT_EQ(s.step(30)[&a], 100);  // nobody decodes
  EXPECT_EQ(s.step(30)[&a], 20);
  Sequence& b = s.add(90, 1000);
  Sequence& c = s.add(20, 2000);
  auto counts = s.step(30);
  EXPECT_EQ(counts[&a], 1);
  EXPECT_EQ(counts[&b], 26);  // 26 * (1 + 0.01 * 13) = 29.4
  EXPECT_FALSE(c.started);
  EXPECT_EQ(s.step(30)[&b], 21);  // the keys before them cost, too
  // A prompt moves on however little is asked for; it ends with what is left.
  EXPECT_EQ(s.step(0.5)[&b], Scheduler::kLeastChunk);
  EXPECT_EQ(s.step(20)[&b], Scheduler::kLeastChunk);
  counts = s.step(45);
  EXPECT_EQ(counts[&b], 11);
  EXPECT_EQ(counts[&c], 20);  // with what b left
  EXPECT_EQ(s.step().size(), 3u);
}

TEST(Scheduler, AWholePromptRunsAloneWhateverItCosts) {
  Bench s(
      64,
      {.max_sequences = 4, .token_budget = 50, .max_tokens = 60, .rules = {false, false, false}});
  Sequence& a = s.add(8, 0);
  s.step(10);
  Sequence& b = s.add(40, 100);
  Sequence& c = s.add(4, 200);
  auto counts = s.step(10);
  EXPECT_EQ(counts[&a], 1);
  EXPECT_EQ(counts[&b], 40);
  EXPECT_FALSE(c.started);
  EXPECT_EQ(s.step(10)[&c], 4);
}

TEST(Scheduler, AdmitsInOrderUpToMaxSequences) {
  Bench s(64, {.max_sequences = 2, .token_budget = 100});
  Sequence& a = s.add(5, 0);
  Sequence& b = s.add(5, 100);
  Sequence& c = s.add(5, 200);
  s.step();
  EXPECT_TRUE(a.started && b.started);
  EXPECT_FALSE(c.started);
  s.scheduler.remove(&a);
  auto counts = s.step();
  EXPECT_EQ(counts[&b], 1);
  EXPECT_EQ(counts[&c], 5);
}

TEST(Scheduler, WholePromptsWhereTheModelForbidsChunks) {
  Bench s(
      64,
      {.max_sequences = 4, .token_budget = 10, .max_tokens = 40, .rules = {false, false, false}});
  Sequence& a = s.add(8, 0);
  Sequence& b = s.add(30, 100);  // longer than the budget: alone
  Sequence& c = s.add(4, 200);
  auto counts = s.step();
  EXPECT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[&a], 8);
  counts = s.step();
  EXPECT_EQ(counts[&a], 1);
  EXPECT_EQ(counts[&b], 30);
  EXPECT_FALSE(c.started);
  counts = s.step();
  EXPECT_EQ(counts[&c], 4);
  EXPECT_GE(s.scheduler.row_limit(), 40 + 4);
}

TEST(Scheduler, SharesFullBlocksOfEqualBeginnings) {
  Bench s(64, {.max_sequences = 4, .token_budget = 200});
  Sequence& a = s.add(3 * kBlockTokens + 5, 0);
  s.step();
  Sequence& b = s.add(2 * kBlockTokens + 9, 0);  // two blocks of the same tokens
  auto counts = s.step();
  EXPECT_EQ(counts[&b], 9);
  EXPECT_EQ(b.blocks[0], a.blocks[0]);
  EXPECT_EQ(b.blocks[1], a.blocks[1]);
  EXPECT_NE(b.blocks[2], a.blocks[2]);
  EXPECT_EQ(s.scheduler.shared_tokens(), 2 * kBlockTokens);
  // All of it is known, but the last token is computed all the same.
  Sequence& c = s.add(3 * kBlockTokens, 0);
  counts = s.step();
  EXPECT_EQ(counts[&c], kBlockTokens);
}

TEST(Scheduler, SharesNothingWhereItMayNot) {
  for (const bool by_rule : {true, false}) {
    SchedulerOptions options{.max_sequences = 4, .token_budget = 400};
    (by_rule ? options.rules.shares_prefix : options.prefix_sharing) = false;
    Bench s(64, options);
    s.add(100, 0);
    s.step();
    Sequence& b = s.add(100, 0);
    EXPECT_EQ(s.step()[&b], 100);
  }
  // Under dynamic rope, long prompts of another length have other keys.
  Bench s(64, {.max_sequences = 8, .token_budget = 400, .dynamic_rope_from = 105});
  s.add(110, 0);
  s.step();
  const auto computed = [&s](int32_t prompt) {
    Sequence& sequence = s.add(prompt, 0);
    return s.step()[&sequence];
  };
  EXPECT_EQ(computed(120), 120);
  EXPECT_EQ(computed(110), 110 - 3 * kBlockTokens);
  EXPECT_EQ(computed(100), 100);
  EXPECT_EQ(computed(104), 104 - 3 * kBlockTokens);
}

TEST(Scheduler, PreemptsTheYoungestAndComputesItAgain) {
  // Three sequences of one block each in four blocks, so that one can grow.
  Bench s(4, {.max_sequences = 3, .token_budget = 400, .prefix_sharing = false});
  Sequence& a = s.add(31, 0);
  Sequence& b = s.add(31, 100);
  Sequence& c = s.add(31, 200);
  s.step();
  EXPECT_TRUE(c.started);
  s.step();  // their 32nd token
  auto counts = s.step();
  EXPECT_EQ(counts[&a], 1);
  EXPECT_EQ(counts[&b], 1);  // took c's block
  EXPECT_EQ(counts.count(&c), 0u);
  EXPECT_EQ(s.scheduler.preemptions(), 1);
  EXPECT_EQ(s.scheduler.waiting().front(), &c);
  EXPECT_TRUE(c.blocks.empty());
  Sequence& d = s.add(5, 300);
  s.step();
  EXPECT_FALSE(d.started);  // comes after c
  s.scheduler.remove(&a);
  counts = s.step();
  EXPECT_EQ(counts[&c], 33);  // prompt and its two tokens
}

TEST(Scheduler, PlansWhileAStepIsUnderWay) {
  Bench s(64, {.max_sequences = 2, .token_budget = 100});
  Sequence& a = s.add(5, 0);
  Sequence& b = s.add(6, 100);
  b.limit = 8;
  const auto launch = [&s] {
    const auto items = s.scheduler.plan(false);
    s.scheduler.launched();
    return std::vector<StepItem>(items.begin(), items.end());
  };
  const std::vector<StepItem> first = launch();
  EXPECT_EQ(first.size(), 2u);
  const std::vector<StepItem> second = launch();
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(second[0].first, 5);  // the token that the first one chooses
  EXPECT_EQ(second[0].count, 1);
  EXPECT_TRUE(second[0].samples);
  EXPECT_EQ(a.length(), 7);
  // The second token is b's last one.
  const std::vector<StepItem> third = launch();
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(third[0].sequence, &a);
  for (const std::vector<StepItem>& step : {first, second}) {
    s.scheduler.complete(step);
    for (const StepItem& item : step) item.sequence->tokens.push_back(1);
  }
  EXPECT_EQ(a.length(), 8);
  EXPECT_EQ(b.due(), 0);
}

TEST(Scheduler, PublishesWhatHasBeenComputedAlone) {
  Bench s(64, {.max_sequences = 3, .token_budget = 200});
  Sequence& a = s.add(kBlockTokens - 1, 0);
  const auto first = s.scheduler.plan();
  const std::vector<StepItem> prompt(first.begin(), first.end());
  s.scheduler.launched();
  const auto second = s.scheduler.plan(false);
  const std::vector<StepItem> token(second.begin(), second.end());
  s.scheduler.launched();  // fills the block
  s.scheduler.complete(prompt);
  a.tokens.push_back(kBlockTokens - 1);
  EXPECT_EQ(a.published, 0);
  s.scheduler.complete(token);
  EXPECT_EQ(a.published, 1);
  s.scheduler.complete(std::vector<StepItem>{{nullptr, 0, 1, true}});  // of one that has ended
}

TEST(Scheduler, PreemptsNothingWhileAStepIsUnderWay) {
  Bench s(2, {.max_sequences = 2, .token_budget = 400, .prefix_sharing = false});
  Sequence& a = s.add(32, 0);
  Sequence& b = s.add(32, 100);
  s.step();
  EXPECT_TRUE(s.scheduler.plan(false).empty());
  EXPECT_EQ(s.scheduler.preemptions(), 0);
  EXPECT_EQ(s.step()[&a], 1);
  EXPECT_EQ(s.scheduler.preemptions(), 1);
  EXPECT_EQ(b.seat, -1);
}

TEST(Scheduler, RunningSequencesHaveSeatsOfTheirOwn) {
  Bench s(64, {.max_sequences = 3, .token_budget = 400});
  Sequence& a = s.add(5, 0);
  Sequence& b = s.add(5, 100);
  Sequence& c = s.add(5, 200);
  Sequence& d = s.add(5, 300);
  s.step();
  EXPECT_EQ((std::set<int32_t>{a.seat, b.seat, c.seat}), (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(d.seat, -1);
  const int32_t left = b.seat;
  d.in_history = true;
  s.scheduler.remove(&b);
  s.step();
  EXPECT_EQ(d.seat, left);
  EXPECT_FALSE(d.in_history);
}

// Many sequences through too few blocks: each step is within limits, no block has two writers, the
// oldest always moves on, and all end with all blocks back.
TEST(Scheduler, EverySequenceEndsUnderPressure) {
  for (const bool chunks : {true, false}) {
    Bench s(12, {.max_sequences = 6,
                 .token_budget = 16,
                 .max_tokens = 200,
                 .rules = {chunks, chunks, true}});
    std::vector<Sequence*> left;
    for (int32_t i = 0; i < 40; ++i) left.push_back(&s.add(1 + i * 37 % 150, i % 5 * 100));
    std::map<Sequence*, size_t> target;
    for (Sequence* q : left) target[q] = q->tokens.size() + 1 + q->tokens.size() % 49;
    int steps = 0;
    for (; !left.empty() && steps < 20000; ++steps) {
      const auto items = s.scheduler.plan();
      ASSERT_FALSE(items.empty());
      ASSERT_EQ(s.scheduler.running().front(), items.front().sequence);
      int32_t rows = 0;
      for (const StepItem& item : items) {
        rows += item.count;
        ASSERT_GT(item.count, 0);
        ASSERT_LE(item.first + item.count,
                  kBlockTokens * static_cast<int32_t>(item.sequence->blocks.size()));
        ASSERT_TRUE(chunks || item.samples);
      }
      ASSERT_LE(rows, s.scheduler.row_limit());
      const std::vector<StepItem> copy(items.begin(), items.end());
      s.scheduler.launched();
      s.scheduler.complete(copy);
      for (const StepItem& item : copy) {
        if (!item.samples) continue;
        item.sequence->tokens.push_back(7);
        if (item.sequence->tokens.size() < target[item.sequence]) continue;
        s.scheduler.remove(item.sequence);
        std::erase(left, item.sequence);
      }
    }
    EXPECT_TRUE(left.empty());
    EXPECT_GT(s.scheduler.preemptions(), 0);
    EXPECT_EQ(s.pool.free(), 12);
  }
}

}  // namespace
}  // namespace tensormill
