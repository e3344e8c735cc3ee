#include "engine/host_sampler.h"

#include <algorithm>
#include <atomic>

namespace tensormill {

HostSampler::HostSampler(int32_t vocabulary, int32_t max_sequences, ThreadTeam* team,
                         const LogitKernels* kernels)
    : vocabulary_(static_cast<size_t>(vocabulary)), team_(team) {
  const int threads = team ? std::min(team->size(), max_sequences) : 1;
  for (int i = 0; i < threads; ++i) samplers_.emplace_back(vocabulary, kernels);
  rows_.reserve(static_cast<size_t>(max_sequences));
}

void HostSampler::sample(std::span<ActiveRequest* const> requests, const float* logits) {
  rows_.clear();
  for (ActiveRequest* const request : requests) {
    if (request != nullptr) rows_.push_back({request, logits});
    logits += vocabulary_;
  }
  if (rows_.size() < 2 || samplers_.size() < 2) {
    for (const Row& row : rows_) sample_row(row, samplers_.front());
    return;
  }
  // A row that draws takes many times as long as one that takes the best.
  std::atomic<size_t> next{0};
  team_->parallel(static_cast<int64_t>(samplers_.size()), 1, [&](int64_t part, int64_t) {
    Sampler& sampler = samplers_[static_cast<size_t>(part)];
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < rows_.size();) {
      sample_row(rows_[i], sampler);
    }
  });
}

void HostSampler::sample_row(const Row& taken, Sampler& sampler) const {
  ActiveRequest& request = *taken.request;
  SamplerRow row;
  row.params = &request.request.sampling;
  row.logits = {taken.logits, vocabulary_};
  row.tokens = request.tokens;
  row.prompt_tokens = static_cast<size_t>(request.prompt);
  row.banned = request.banned(request.generated());
  row.rules = request.request.rules.get();
  row.limit = static_cast<size_t>(request.limit);
  row.top_log_probs = request.request.top_log_probs;
  row.wants_log_prob = request.request.log_probs;
  request.sampled = sampler.sample(row, request.top);
}

}  // namespace tensormill
