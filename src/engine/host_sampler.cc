#include "engine/host_sampler.h"

#include <algorithm>

namespace tensormill {

HostSampler::HostSampler(int32_t vocabulary, int32_t max_sequences, ThreadTeam* team)
    : vocabulary_(static_cast<size_t>(vocabulary)), team_(team) {
  const int threads = team ? std::min(team->size(), max_sequences) : 1;
  for (int i = 0; i < threads; ++i) samplers_.emplace_back(vocabulary);
  rows_.reserve(static_cast<size_t>(max_sequences));
}

void HostSampler::sample(std::span<ActiveRequest* const> requests, const float* logits) {
  rows_.clear();
  for (ActiveRequest* const request : requests) {
    if (request != nullptr) rows_.push_back({request, logits});
    logits += vocabulary_;
  }
  if (rows_.size() < 2 || samplers_.size() < 2) {
    sample_range(0, rows_.size(), samplers_.front());
    return;
  }
  team_->run(
      [](void* context, int thread) {
        auto& self = *static_cast<HostSampler*>(context);
        const size_t part = static_cast<size_t>(thread), parts = self.samplers_.size();
        if (part >= parts) return;
        self.sample_range(self.rows_.size() * part / parts, self.rows_.size() * (part + 1) / parts,
                          self.samplers_[part]);
      },
      this);
}

void HostSampler::sample_range(size_t begin, size_t end, Sampler& sampler) {
  for (size_t i = begin; i < end; ++i) {
    ActiveRequest& request = *rows_[i].request;
    SamplerRow row;
    row.params = &request.request.sampling;
    row.logits = {rows_[i].logits, vocabulary_};
    row.tokens = request.tokens;
    row.prompt_tokens = static_cast<size_t>(request.prompt);
    row.banned = request.banned(request.generated());
    row.rules = request.request.rules.get();
    row.limit = static_cast<size_t>(request.limit);
    row.top_log_probs = request.request.top_log_probs;
    request.sampled = sampler.sample(row, request.top);
  }
}

}  // namespace tensormill
