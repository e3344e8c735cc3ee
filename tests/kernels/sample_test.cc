// A GPU's choice of tokens against the host's.

#include <fmt/format.h>

#include <cmath>

#include "fixture.h"
#include "sampling/sampler.h"

namespace tensormill::testing {
namespace {

constexpr int kStride = 40;  // of the history

// One row: what is asked, what there is so far.
struct Ask {
  const char* name;
  SamplingParams params;
  int32_t top = 0;
  std::vector<int32_t> banned = {};
};

std::vector<Ask> asks() {
  const auto drawn = [](auto change) {
    SamplingParams params;
    params.sample = true;
    params.seed = 0x123456789abcdef;
    change(params);
    return params;
  };
  SamplingParams penalties;
  penalties.repetition_penalty = 1.3f;
  penalties.presence_penalty = 0.4f;
  penalties.frequency_penalty = 0.2f;
  SamplingParams ngrams;
  ngrams.no_repeat_ngram_size = 2;
  return {
      {"best", {}},
      {"best, top", {}, 5},
      {"best, most", {}, kMaxTop},
      {"best, banned", {}, 0, {3, 1, 5}},
      {"penalties", penalties, 3},
      {"ngrams", ngrams},
      {"drawn", drawn([](auto&) {}), 4},
      {"cool", drawn([](auto& p) { p.temperature = 0.3f; })},
      {"hot", drawn([](auto& p) { p.temperature = 4; })},
      {"top-k", drawn([](auto& p) { p.top_k = 7; }), 9},
      {"top-p", drawn([](auto& p) { p.top_p = 0.8f; }), 2},
      {"typical-p", drawn([](auto& p) { p.typical_p = 0.7f; })},
      {"min-p", drawn([](auto& p) { p.min_p = 0.05f; })},
      {"all",
       drawn([](auto& p) {
         p.temperature = 1.5f;
         p.top_k = 60;
         p.top_p = 0.9f;
         p.typical_p = 0.95f;
         p.min_p = 0.001f;
         p.repetition_penalty = 1.1f;
         p.presence_penalty = -0.2f;
         p.no_repeat_ngram_size = 3;
       }),
       kMaxTop,
       {0, 2}},
  };
}

SampleRow row_of(const Ask& ask, int32_t slot, int32_t length, int32_t prompt) {
  const SamplingParams& p = ask.params;
  SampleRow row{};
  row.slot = slot;
  row.length = length;
  row.prompt = prompt;
  row.sample = p.sample ? 1 : 0;
  row.top_k = p.top_k;
  row.no_repeat_ngram = p.no_repeat_ngram_size;
  row.temperature = p.temperature;
  row.top_p = p.top_p;
  row.typical_p = p.typical_p;
  row.min_p = p.min_p;
  row.repetition_penalty = p.repetition_penalty;
  row.presence_penalty = p.presence_penalty;
  row.frequency_penalty = p.frequency_penalty;
  row.seed[0] = static_cast<uint32_t>(p.seed);
  row.seed[1] = static_cast<uint32_t>(p.seed >> 32);
  row.top = ask.top;
  row.banned = static_cast<int32_t>(ask.banned.size());
  std::copy(ask.banned.begin(), ask.banned.end(), row.banned_ids);
  return row;
}

// A step of rows of logits and the sequences that they belong to, in reverse order.
struct Step {
  int32_t vocabulary, rows;
  std::vector<float> logits;
  std::vector<SampleRow> asked;
  std::vector<int32_t> history;
  std::vector<SampleResult> results;

  Step(int32_t tokens, const std::vector<Ask>& all, Random& random)
      : vocabulary(tokens),
        rows(static_cast<int32_t>(all.size())),
        logits(random.normals(all.size() * static_cast<size_t>(tokens), 2)),
        history(all.size() * kStride, -1),
        results(all.size()) {
    for (int32_t i = 0; i < rows; ++i) {
      const int32_t prompt = 3 + random.below(10), length = prompt + random.below(20);
      asked.push_back(row_of(all[static_cast<size_t>(i)], rows - 1 - i, length, prompt));
      // Few different tokens, so that pairs come again.
      for (int32_t t = 0; t < length; ++t) *place(i, t) = random.below(std::min(tokens, 6));
    }
  }

  int32_t* place(int32_t row, int32_t token) {
    return &history[static_cast<size_t>(asked[size_t(row)].slot * kStride + token)];
  }
  std::span<const float> logits_of(int32_t row) const {
    return std::span(logits).subspan(size_t(row) * vocabulary, size_t(vocabulary));
  }
  void run(const KernelTable& kernels) {
    SampleArgs args{};
    args.logits = logits.data();
    args.vocabulary = vocabulary;
    args.rows = asked.data();
    args.history = history.data();
    args.history_stride = kStride;
    args.results = results.data();
    args.live = {&rows, rows};
    kernels.sample(args, nullptr);
  }
};

void check_row(Step& step, int32_t row, const Ask& ask) {
  SCOPED_TRACE(ask.name);
  const SampleRow& asked = step.asked[size_t(row)];
  SamplerRow host;
  host.params = &ask.params;
  host.logits = step.logits_of(row);
  host.tokens = {step.place(row, 0), size_t(asked.length)};
  host.prompt_tokens = size_t(asked.prompt);
  host.banned = ask.banned;
  host.top_log_probs = ask.top;
  std::vector<TopToken> top;
  const SampledToken want = Sampler(step.vocabulary).sample(host, top);
  const SampleResult& got = step.results[size_t(row)];
  ASSERT_EQ(got.status, static_cast<int32_t>(want.status));
  if (want.status != SampleStatus::kOk) return;
  EXPECT_EQ(got.token, want.token);
  EXPECT_EQ(*step.place(row, asked.length), want.token);
  EXPECT_NEAR(got.log_prob, want.log_prob, 2e-5);
  ASSERT_EQ(got.top, static_cast<int32_t>(top.size()));
  for (size_t i = 0; i < top.size(); ++i) {
    EXPECT_EQ(got.top_ids[i], top[i].id) << i;
    EXPECT_NEAR(got.top_log_probs[i], top[i].log_prob, 2e-5) << i;
  }
}

TEST(Sample, ChoosesAsTheHost) {
  const std::vector<Ask> all = asks();
  for (const KernelTable* kernels : mirrors()) {
    Random random(29);
    for (const int32_t vocabulary : {7, 1000, 32000, 50257, 151936}) {
      SCOPED_TRACE(fmt::format("{} {} tokens", kernels->name, vocabulary));
      Step step(vocabulary, all, random);
      step.run(*kernels);
      for (int32_t row = 0; row < step.rows; ++row) check_row(step, row, all[size_t(row)]);
    }
  }
}

TEST(Sample, SaysWhatIsWrongWithLogits) {
  std::vector<Ask> all = asks();
  for (const KernelTable* kernels : mirrors()) {
    for (const float value : {NAN, INFINITY, -INFINITY}) {
      SCOPED_TRACE(fmt::format("{} {}", kernels->name, value));
      Random random(31);
      Step step(3000, all, random);
      // One bad value, or none but it.
      for (size_t i = 0; i < step.logits.size(); ++i) {
        if (value == -INFINITY || i % 3000 == 1234) step.logits[i] = value;
      }
      step.run(*kernels);
      for (int32_t row = 0; row < step.rows; ++row) check_row(step, row, all[size_t(row)]);
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
