#pragma once

#include <span>
#include <vector>

#include "base/thread_team.h"
#include "engine/active_request.h"
#include "sampling/sampler.h"

namespace tensormill {

// Chooses tokens from logits in the host's memory, spread over a team's threads.
class HostSampler {
 public:
  // team: null for the calling thread alone. kernels: null for the best of this CPU.
  HostSampler(int32_t vocabulary, int32_t max_sequences, ThreadTeam* team,
              const LogitKernels* kernels);

  // logits: [requests, vocabulary]. Fills `sampled` and `top` of the requests; those that are null
  // are passed over.
  void sample(std::span<ActiveRequest* const> requests, const float* logits);

 private:
  struct Row {
    ActiveRequest* request;
    const float* logits;  // [vocabulary]
  };
  void sample_row(const Row& row, Sampler& sampler) const;

  size_t vocabulary_;
  ThreadTeam* team_;
  std::vector<Sampler> samplers_;  // one for each thread that samples
  std::vector<Row> rows_;
};

}  // namespace tensormill
