#pragma once

#include "kernels/table.h"

namespace tensormill {

// The most likely token alone, by the logits as they are.
__device__ __forceinline__ bool is_plain(const SampleRow& row) {
  return row.sample == 0 && row.top == 0 && row.banned == 0 && row.no_repeat_ngram == 0 &&
         row.repetition_penalty == 1 && row.presence_penalty == 0 && row.frequency_penalty == 0;
}

__device__ __forceinline__ bool is_bad(float logit) {
  return !(logit < __int_as_float(0x7f800000));  // NaN or +infinity
}

// Unsigned numbers in the order of floats. Both zeros are one.
__device__ __forceinline__ uint32_t ordered(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}
__device__ __forceinline__ float from_ordered(uint32_t x) {
  return __uint_as_float(x & 0x80000000 ? x & 0x7fffffff : ~x);
}

// Where nothing could be chosen the history gets token 0: the next step may read it before the
// host knows.
__device__ __forceinline__ void write_choice(const SampleArgs& args, int64_t row, int32_t token,
                                             int32_t status, float log_prob) {
  const SampleRow& wanted = args.rows[row];
  SampleResult& result = args.results[row];
  result.token = token;
  result.status = status;
  result.log_prob = log_prob;
  args.history[wanted.slot * args.history_stride + wanted.length] = status == 0 ? token : 0;
}

}  // namespace tensormill
