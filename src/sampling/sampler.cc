#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sampling/philox.h"
#include "sampling/softmax.h"

namespace tensormill {
namespace {

// Keeps the `limit` best of what is offered, ordered by log_prob, equal ones by id (ids are offered
// in ascending order). Offers that don't make it cost one comparison.
class TopList {
 public:
  TopList(std::vector<TopToken>& list, int32_t limit)
      : list_(list), limit_(static_cast<size_t>(limit)) {
    list_.clear();
  }

  void offer(int32_t id, float value) {
    if (list_.size() == limit_) {
      if (limit_ == 0 || !(value > list_.back().log_prob)) return;
      list_.pop_back();
    }
    const auto place = std::upper_bound(
        list_.begin(), list_.end(), value,
        [](float offered, const TopToken& held) { return offered > held.log_prob; });
    list_.insert(place, {id, value});
  }

  // From logits to log-probabilities.
  void normalize(float peak, double log_sum) {
    for (TopToken& held : list_) {
      held.log_prob = static_cast<float>(static_cast<double>(held.log_prob) -
                                         static_cast<double>(peak) - log_sum);
    }
  }

 private:
  std::vector<TopToken>& list_;
  size_t limit_;
};

float log_prob(float logit, float peak, double log_sum) {
  return static_cast<float>(static_cast<double>(logit) - static_cast<double>(peak) - log_sum);
}

}  // namespace

Sampler::Sampler(int32_t vocabulary)
    : logits_(static_cast<size_t>(vocabulary)), counts_(static_cast<size_t>(vocabulary)) {
  candidates_.reserve(logits_.size());
  scratch_.items.reserve(logits_.size());
}

SampledToken Sampler::sample(const SamplerRow& row, std::vector<TopToken>& top) {
  top.clear();
  // Before anything else: a filter could hide a NaN.
  const RowPeak raw = find_peak(row.logits);
  if (!raw.finite) return {SampleStatus::kNotFinite, -1, 0};
  const std::span<const float> logits = process(row);
  return row.params->sample ? draw(row, logits, top) : pick_best(row, logits, top);
}

// The logits after penalties and bans: the row itself where none is asked for.
std::span<const float> Sampler::process(const SamplerRow& row) {
  const SamplingParams& p = *row.params;
  const bool output_penalties = p.presence_penalty != 0 || p.frequency_penalty != 0;
  if (p.repetition_penalty == 1 && !output_penalties && p.no_repeat_ngram_size == 0 &&
      row.banned.empty() && row.rules == nullptr) {
    return row.logits;
  }
  std::copy(row.logits.begin(), row.logits.end(), logits_.begin());
  if (p.repetition_penalty != 1) {
    apply_repetition_penalty(logits_, row.logits, row.tokens, p.repetition_penalty);
  }
  if (output_penalties) {
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
                                std::vector<TopToken>& top) const {
  const RowPeak peak = find_peak(logits);
  if (!peak.finite) return {SampleStatus::kNotFinite, -1, 0};
  if (peak.index < 0) return {SampleStatus::kNothingLeft, -1, 0};
  const double log_sum = std::log(sum_exp(logits, peak.value));
  if (row.top_log_probs > 0) {
    TopList list(top, row.top_log_probs);
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] != -std::numeric_limits<float>::infinity()) {
        list.offer(static_cast<int32_t>(i), logits[i]);
      }
    }
    list.normalize(peak.value, log_sum);
  }
  return {SampleStatus::kOk, peak.index, log_prob(peak.value, peak.value, log_sum)};
}

SampledToken Sampler::draw(const SamplerRow& row, std::span<const float> logits,
                           std::vector<TopToken>& top) {
  const SamplingParams& p = *row.params;
  const RowPeak raw = find_peak(logits);
  if (!raw.finite) return {SampleStatus::kNotFinite, -1, 0};
  if (raw.index < 0) return {SampleStatus::kNothingLeft, -1, 0};
  candidates_.clear();
  const float hottest = raw.value;
  for (size_t i = 0; i < logits.size(); ++i) {
    // Relative to the best one, so that a low temperature can't overflow; what exp() takes to 0
    // can't be drawn.
    const float logit = (logits[i] - hottest) / p.temperature;
    if (logit >= -87.0f) candidates_.push_back({logit, static_cast<int32_t>(i)});
  }
  if (p.top_k > 0) keep_top_k(candidates_, p.top_k, scratch_);
  if (p.top_p < 1) keep_top_p(candidates_, p.top_p, scratch_);
  if (p.typical_p < 1) keep_typical(candidates_, p.typical_p, scratch_);
  if (p.min_p > 0) keep_min_p(candidates_, p.min_p);

  float peak = candidates_.front().logit;
  for (const Candidate& c : candidates_) peak = std::max(peak, c.logit);
  double total = 0;
  for (const Candidate& c : candidates_) total += static_cast<double>(exp_negative(c.logit - peak));
  const double target = uniform_draw(p.seed, row.tokens.size() - row.prompt_tokens) * total;
  const Candidate* chosen = &candidates_.back();
  double reached = 0;
  for (const Candidate& c : candidates_) {
    reached += static_cast<double>(exp_negative(c.logit - peak));
    if (reached > target) {
      chosen = &c;
      break;
    }
  }
  const double log_sum = std::log(total);
  if (row.top_log_probs > 0) {
    TopList list(top, row.top_log_probs);
    for (const Candidate& c : candidates_) list.offer(c.id, c.logit);
    list.normalize(peak, log_sum);
  }
  return {SampleStatus::kOk, chosen->id, log_prob(chosen->logit, peak, log_sum)};
}

}  // namespace tensormill
