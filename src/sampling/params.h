#pragma once

#include <cstdint>
#include <optional>

namespace tensormill {

// How the next token is chosen. Order as in TGI: repetition, presence and frequency penalties,
// temperature, top-k, top-p, typical-p, min-p. Sampling is reproducible from (seed, request) alone.
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

}  // namespace tensormill
