#pragma once

#include <cstdint>

namespace tensormill {

// How the next token is chosen, in this order: repetition penalty, presence and frequency
// penalties, n-gram ban, EOS mask; then, only with `sample`, temperature, top-k, top-p, typical-p,
// min-p. Sampling is reproducible from (seed, request) alone.
struct SamplingParams {
  bool sample = false;  // false: the most likely token
  float temperature = 1.0f;
  int32_t top_k = 0;  // 0: off
  float top_p = 1.0f, typical_p = 1.0f, min_p = 0.0f;
  float repetition_penalty = 1.0f;                          // over prompt and output
  float presence_penalty = 0.0f, frequency_penalty = 0.0f;  // over the output, as OpenAI has them
  int32_t no_repeat_ngram_size = 0;                         // 0: off
  uint64_t seed = 0;
};

struct TopToken {
  int32_t id;
  float log_prob;
};

}  // namespace tensormill
