#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sampling/philox.h"
#include "sampling/processors.h"
#include "sampling/top_list.h"

namespace tensormill {

Sampler::Sampler(int32_t vocabulary, const LogitKernels* kernels)
    : kernels_(kernels != nullptr ? *kernels : *cpu_kernels("auto")->logits()),
      logits_(static_cast<size_t>(vocabulary)),
      counts_(logits_.size()),
      scratch_(logits_.size() + kLogitParts),
      places_(logits_.size()),
      candidates_(vocabulary, kernels_) {}

SampledToken Sampler::sample(const SamplerRow& row, std::vector<TopToken>& top) {
  top.clear();
  const auto peak_of = [this](std::span<const float> logits) {
    return kernels_.peak(logits.data(), static_cast<int64_t>(logits.size()));
  };
  // Before anything else: a filter could hide a NaN.
  RowPeak peak = peak_of(row.logits);
  if (!peak.finite) return {SampleStatus::kNotFinite, -1, 0};
  std::span<const float> logits = row.logits;
  if (changes(row)) {
    logits = process(row);
    peak = peak_of(logits);
  }
  if (!peak.finite) return {SampleStatus::kNotFinite, -1, 0};
  if (peak.index < 0) return {SampleStatus::kNothingLeft, -1, 0};
  return row.params->sample ? draw(row, logits, peak, top) : pick_best(row, logits, peak, top);
}

bool Sampler::changes(const SamplerRow& row) const {
  const SamplingParams& p = *row.params;
  return p.repetition_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0 ||
         p.no_repeat_ngram_size != 0 || !row.banned.empty() || row.rules != nullptr;
}

// The logits after penalties and bans.
std::span<const float> Sampler::process(const SamplerRow& row) {
  const SamplingParams& p = *row.params;
  std::copy(row.logits.begin(), row.logits.end(), logits_.begin());
  if (p.repetition_penalty != 1) {
    apply_repetition_penalty(logits_, row.logits, row.tokens, p.repetition_penalty);
  }
  if (p.presence_penalty != 0 || p.frequency_penalty != 0) {
    apply_output_penalties(logits_, row.tokens.subspan(row.prompt_tokens), p.presence_penalty,
                           p.frequency_penalty, counts_);
  }
  if (p.no_repeat_ngram_size > 0) {
    ban_repeated_ngrams(logits_, row.tokens, p.no_repeat_ngram_size);
  }
  ban(logits_, row.banned);
  if (row.rules != nullptr) obey(*row.rules, row);
  return logits_;
}

// In transformers' order: what is forced goes over bans, and what is suppressed over that.
void Sampler::obey(const TokenRules& rules, const SamplerRow& row) {
  const size_t length = row.tokens.size();
  const auto must = forced(rules, length, row.limit);
  if (must.empty()) {
    ban_bad_words(logits_, row.tokens, rules);
  } else {
    force(logits_, must);
  }
  ban(logits_, rules.suppressed);
  if (begins(rules, length, row.prompt_tokens)) ban(logits_, rules.begin_suppressed);
}

SampledToken Sampler::pick_best(const SamplerRow& row, std::span<const float> logits,
                                const RowPeak& peak, std::vector<TopToken>& top) {
  if (!row.wants_log_prob && row.top_log_probs == 0) return {SampleStatus::kOk, peak.index, 0};
  const auto count = static_cast<int64_t>(logits.size());
  const double log_sum = std::log(kernels_.sum_exp(logits.data(), count, peak.value));
  if (row.top_log_probs > 0) {
    const float bound = std::max(kth_bound(kernels_, logits, row.top_log_probs, scratch_),
                                 std::numeric_limits<float>::lowest());
    const int64_t found = kernels_.find(logits.data(), count, bound, places_.data());
    TopList list(top, row.top_log_probs);
    for (int64_t i = 0; i < found; ++i) {
      const int32_t id = places_[static_cast<size_t>(i)];
      list.offer(id, logits[static_cast<size_t>(id)]);
    }
    list.normalize(peak.value, log_sum);
  }
  return {SampleStatus::kOk, peak.index, static_cast<float>(-log_sum)};
}

SampledToken Sampler::draw(const SamplerRow& row, std::span<const float> logits,
                           const RowPeak& peak, std::vector<TopToken>& top) {
  const SamplingParams& p = *row.params;
  candidates_.take(logits, peak.value, p.temperature, p.top_k);
  if (p.top_p < 1) candidates_.keep_top_p(p.top_p);
  if (p.typical_p < 1) candidates_.keep_typical(p.typical_p);
  if (p.min_p > 0) candidates_.keep_min_p(p.min_p);
  const TopToken drawn =
      candidates_.draw(uniform_draw(p.seed, row.tokens.size() - row.prompt_tokens));
  if (row.top_log_probs > 0) candidates_.list(row.top_log_probs, top);
  return {SampleStatus::kOk, drawn.id, drawn.log_prob};
}

}  // namespace tensormill
