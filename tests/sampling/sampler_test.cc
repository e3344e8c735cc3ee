#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "base/json.h"
#include "sampling/philox.h"

namespace tensormill {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SamplingParams params_of(const Json& json) {
  SamplingParams p;
  p.temperature = json.value("temperature", p.temperature);
  p.top_k = json.value("top_k", p.top_k);
  p.top_p = json.value("top_p", p.top_p);
  p.typical_p = json.value("typical_p", p.typical_p);
  p.min_p = json.value("min_p", p.min_p);
  p.repetition_penalty = json.value("repetition_penalty", p.repetition_penalty);
  p.presence_penalty = json.value("presence_penalty", p.presence_penalty);
  p.frequency_penalty = json.value("frequency_penalty", p.frequency_penalty);
  p.no_repeat_ngram_size = json.value("no_repeat_ngram_size", p.no_repeat_ngram_size);
  p.sample = true;
  return p;
}

// A row with a fixed, uneven set of logits.
std::vector<float> wave(size_t size) {
  std::vector<float> logits(size);
  for (size_t i = 0; i < size; ++i) {
    logits[i] = 4 * std::sin(0.37f * static_cast<float>(i * i % 1009));
  }
  return logits;
}

TEST(Sampler, ProcessorsLeaveWhatTransformersLeaves) {
  const Json cases = read_json_file(TENSORMILL_GOLDEN "/sampling/processors.json");
  ASSERT_GT(cases.size(), 20u);
  for (const Json& item : cases) {
    SCOPED_TRACE(item["params"].dump());
    const SamplingParams params = params_of(item["params"]);
    const auto logits = item["logits"].get<std::vector<float>>();
    const auto tokens = item["tokens"].get<std::vector<int32_t>>();
    Sampler sampler(static_cast<int32_t>(logits.size()));
    SamplerRow row;
    row.params = &params;
    row.logits = logits;
    row.tokens = tokens;
    row.prompt_tokens = item["prompt"].get<size_t>();
    row.top_log_probs = static_cast<int32_t>(logits.size());
    std::vector<TopToken> left;
    const SampledToken sampled = sampler.sample(row, left);
    ASSERT_EQ(sampled.status, SampleStatus::kOk);
    const auto chosen = std::find_if(
        left.begin(), left.end(), [&](const TopToken& held) { return held.id == sampled.token; });
    ASSERT_NE(chosen, left.end());
    EXPECT_EQ(sampled.log_prob, chosen->log_prob);
    EXPECT_TRUE(std::is_sorted(left.begin(), left.end(),
                               [](auto& a, auto& b) { return a.log_prob > b.log_prob; }));
    std::sort(left.begin(), left.end(), [](auto& a, auto& b) { return a.id < b.id; });
    const Json& expected = item["expected"];
    ASSERT_EQ(left.size(), expected.size());
    for (size_t i = 0; i < left.size(); ++i) {
      EXPECT_EQ(left[i].id, expected[i][0].get<int32_t>());
      EXPECT_NEAR(left[i].log_prob, expected[i][1].get<float>(), 2e-5f);
    }
  }
}

TEST(Sampler, GreedyTakesTheFirstBestAndItsRawLogProb) {
  std::vector<float> logits = wave(5000);
  logits[1700] = logits[3100] = 6.5f;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  SamplingParams params;
  params.temperature = 0.3f;  // without effect: greedy
  params.top_k = 2;
  Sampler sampler(5000);
  SamplerRow row;
  row.params = &params;
  row.logits = logits;
  row.top_log_probs = 3;
  std::vector<TopToken> top;
  const SampledToken sampled = sampler.sample(row, top);
  EXPECT_EQ(sampled.token, 1700);
  EXPECT_NEAR(sampled.log_prob, 6.5 - std::log(sum), 1e-5);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].id, 1700);
  EXPECT_EQ(top[1].id, 3100);
  EXPECT_EQ(top[0].log_prob, sampled.log_prob);
  EXPECT_LT(top[2].log_prob, top[1].log_prob);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  // Probabilities 0.5, 0.3, 0.2, and one token that top-k takes away.
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f), -9.0f};
  SamplingParams params;
  params.sample = true;
  params.top_k = 3;
  Sampler sampler(4);
  std::vector<TopToken> top;
  std::vector<int> counts(4);
  constexpr int kDraws = 20000;
  const std::vector<int32_t> tokens = {0};
  SamplerRow row;
  row.params = &params;
  row.logits = logits;
  row.tokens = tokens;
  for (int i = 0; i < kDraws; ++i) {
    params.seed = static_cast<uint64_t>(i);
    ++counts[static_cast<size_t>(sampler.sample(row, top).token)];
  }
  EXPECT_NEAR(counts[0], 0.5 * kDraws, 300);
  EXPECT_NEAR(counts[1], 0.3 * kDraws, 300);
  EXPECT_NEAR(counts[2], 0.2 * kDraws, 300);
  EXPECT_EQ(counts[3], 0);
}

TEST(Sampler, DrawDependsOnSeedAndStepAlone) {
  const std::vector<float> logits = wave(1000);
  SamplingParams params;
  params.sample = true;
  params.top_p = 0.99f;
  params.seed = 1234567890123ull;
  Sampler used(1000), fresh(1000);
  std::vector<TopToken> top;
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6};
  SamplerRow row;
  row.params = &params;
  row.logits = logits;
  std::vector<int32_t> first, second;
  for (size_t step = 0; step < 4; ++step) {
    row.tokens = std::span(tokens).first(2 + step);
    row.prompt_tokens = 2;
    first.push_back(used.sample(row, top).token);
    row.tokens = std::span(tokens).first(1 + step);  // another prompt, the same step
    row.prompt_tokens = 1;
    second.push_back(fresh.sample(row, top).token);
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first[0], first[1]);  // steps draw anew
  params.seed = 1;
  EXPECT_NE(fresh.sample(row, top).token, second.back());
}

TEST(Sampler, RefusesNumbersThatAreNone) {
  SamplingParams greedy, drawn;
  drawn.sample = true;
  drawn.top_k = 1;  // would hide a NaN elsewhere
  Sampler sampler(40);
  std::vector<TopToken> top;
  SamplerRow row;
  for (const SamplingParams* params : {&greedy, &drawn}) {
    row.params = params;
    for (const float bad : {std::nanf(""), -std::nanf(""), kInfinity}) {
      for (const size_t place : {size_t{0}, size_t{17}, size_t{39}}) {
        std::vector<float> logits = wave(40);
        logits[place] = bad;
        row.logits = logits;
        EXPECT_EQ(sampler.sample(row, top).status, SampleStatus::kNotFinite);
      }
    }
    const std::vector<float> nothing(40, -kInfinity);
    row.logits = nothing;
    EXPECT_EQ(sampler.sample(row, top).status, SampleStatus::kNothingLeft);
    std::vector<float> one(40, -kInfinity);
    one[23] = -5;
    row.logits = one;
    const SampledToken sampled = sampler.sample(row, top);
    EXPECT_EQ(sampled.status, SampleStatus::kOk);
    EXPECT_EQ(sampled.token, 23);
    EXPECT_EQ(sampled.log_prob, 0);
  }
}

TEST(Sampler, BannedTokensAreNeverChosen) {
  const std::vector<float> logits = {1, 5, 3, 2};
  const std::vector<int32_t> eos = {1, 99, -1};
  SamplingParams params;
  Sampler sampler(4);
  std::vector<TopToken> top;
  SamplerRow row;
  row.params = &params;
  row.logits = logits;
  row.banned = eos;
  row.top_log_probs = 4;
  EXPECT_EQ(sampler.sample(row, top).token, 2);
  EXPECT_EQ(top.size(), 3u);
  row.banned = {};
  EXPECT_EQ(sampler.sample(row, top).token, 1);
}

TEST(Sampler, TinyTemperatureIsGreedy) {
  const std::vector<float> logits = wave(300);
  SamplingParams greedy, cold;
  cold.sample = true;
  cold.temperature = 1e-40f;
  Sampler sampler(300);
  std::vector<TopToken> top;
  SamplerRow row;
  row.logits = logits;
  row.params = &greedy;
  const int32_t best = sampler.sample(row, top).token;
  row.params = &cold;
  EXPECT_EQ(sampler.sample(row, top).token, best);
}

// What sorting the whole vocabulary leaves of it, in descending order.
std::vector<int32_t> plainly_left(const std::vector<float>& logits, const SamplingParams& p) {
  const float peak = *std::max_element(logits.begin(), logits.end());
  std::vector<std::pair<float, int32_t>> all;
  for (size_t i = 0; i < logits.size(); ++i) {
    const float value = (logits[i] - peak) / p.temperature;
    if (value >= -87) all.emplace_back(-value, static_cast<int32_t>(i));
  }
  std::sort(all.begin(), all.end());
  size_t left = all.size();
  if (p.top_k > 0 && static_cast<size_t>(p.top_k) < left) {
    left = static_cast<size_t>(p.top_k);
    while (left < all.size() && all[left].first == all[left - 1].first) ++left;
  }
  double total = 0, reached = 0;
  for (size_t i = 0; i < left; ++i) total += std::exp(-static_cast<double>(all[i].first));
  size_t kept = 0;
  while (p.top_p < 1 && kept < left && reached < p.top_p * total) {
    reached += std::exp(-static_cast<double>(all[kept++].first));
  }
  if (p.top_p < 1) left = kept;
  if (p.min_p > 0) {
    while (left > 1 && -all[left - 1].first < std::log(p.min_p)) --left;
  }
  std::vector<int32_t> ids;
  for (size_t i = 0; i < left; ++i) ids.push_back(all[i].second);
  return ids;
}

TEST(Sampler, FiltersLeaveWhatSortingLeaves) {
  constexpr int32_t kVocabulary = 20000;
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 2);
  Sampler sampler(kVocabulary);
  std::vector<float> logits(kVocabulary);
  std::vector<TopToken> top;
  for (int round = 0; round < 60; ++round) {
    for (float& logit : logits) logit = normal(random);
    // Every other row is full of ties.
    for (float& logit : logits) logit = round % 2 == 0 ? std::round(logit * 8) / 8 : logit;
    for (size_t i = 5; i < logits.size(); i += 41) logits[i] = -kInfinity;
    for (int i = 0; i < round % 7; ++i) logits[random() % logits.size()] = 9 + normal(random);
    SamplingParams params;
    params.sample = true;
    params.temperature = std::array{1.0f, 0.7f, 1.9f}[size_t(round) % 3];
    params.top_k = std::array{0, 50, 1, 3000}[size_t(round) % 4];
    params.top_p = std::array{0.9137f, 1.0f, 0.2911f, 0.99911f, 0.5003f}[size_t(round) % 5];
    params.min_p = round % 6 == 5 ? 0.0123f : 0;
    SCOPED_TRACE(round);
    SamplerRow row;
    row.params = &params;
    row.logits = logits;
    row.top_log_probs = kVocabulary;
    EXPECT_EQ(sampler.sample(row, top).status, SampleStatus::kOk);
    std::vector<int32_t> left;
    for (const TopToken& one : top) left.push_back(one.id);
    EXPECT_EQ(left, plainly_left(logits, params));
  }
}

TEST(Sampler, GreedyLooksForThePeakAloneWhereNothingElseIsWanted) {
  const std::vector<float> logits = wave(300);
  SamplingParams params;
  Sampler sampler(300);
  std::vector<TopToken> top;
  SamplerRow row;
  row.params = &params;
  row.logits = logits;
  const SampledToken whole = sampler.sample(row, top);
  row.wants_log_prob = false;
  const SampledToken alone = sampler.sample(row, top);
  EXPECT_EQ(alone.token, whole.token);
  EXPECT_EQ(alone.log_prob, 0);
  row.top_log_probs = 2;
  EXPECT_EQ(sampler.sample(row, top).log_prob, whole.log_prob);
  EXPECT_EQ(top.size(), 2u);
}

TEST(Philox, KnownAnswers) {
  // The first two vectors of Random123's kat_vectors for philox4x32-10.
  EXPECT_EQ(philox(0, {0, 0, 0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~uint64_t{0}, {~0u, ~0u, ~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

}  // namespace
}  // namespace tensormill
