#pragma once

// Which keys a query sees, and what its products with them become.

#include <cuda_bf16.h>

#include "kernels/table.h"

namespace tensormill {

// The keys [0, prefix) and [begin, end); prefix < begin, or it is 0.
struct SeenKeys {
  int32_t prefix, begin, end;

  __device__ __forceinline__ bool holds(int32_t key) const {
    return key < prefix || (key >= begin && key < end);
  }
};

// Of a query at `position` of a sequence that has `keys`.
__device__ __forceinline__ SeenKeys seen_keys(const Score& score, int32_t sequence,
                                              int32_t position, int32_t keys) {
  const int32_t prefix = score.prefix == nullptr ? 0 : min(score.prefix[sequence], keys);
  const int32_t end = max(score.causal ? position + 1 : keys, prefix);
  const int32_t begin =
      score.window == 0 || position < score.window ? 0 : position - score.window + 1;
  if (begin <= prefix) return {0, 0, end};
  return {prefix, begin, end};
}

// `count` blocks of keys: numbers [0, head), then those `skip` further on.
struct SeenBlocks {
  int32_t head, skip, count;

  __device__ __forceinline__ int32_t block(int32_t i) const { return i < head ? i : i + skip; }
};

// Those that hold seen keys, where a block has `tokens` keys.
__device__ __forceinline__ SeenBlocks seen_blocks(const SeenKeys& seen, int32_t tokens) {
  const int32_t head = (seen.prefix + tokens - 1) / tokens;
  const int32_t first = max(seen.begin / tokens, head);
  return {head, first - head, head + max((seen.end + tokens - 1) / tokens - first, 0)};
}

// A head's slope and the term of the query's own place.
struct HeadBias {
  float slope, own;
};

__device__ __forceinline__ float round_bf16(float x) {
  return __bfloat162float(__float2bfloat16_rn(x));
}

__device__ __forceinline__ HeadBias head_bias(const Score& score, int32_t head, int32_t position) {
  if (score.slopes == nullptr) return {0, 0};
  const float slope = score.slopes[head];
  if (!score.bias_bf16) return {slope * score.bias_scale, 0};
  const float rounded = round_bf16(slope);
  return {rounded, round_bf16(rounded * round_bf16(static_cast<float>(position)))};
}

// The score of a key from the product of query and key.
__device__ __forceinline__ float score_of(const Score& score, const HeadBias& bias, float product,
                                          int32_t key, int32_t position) {
  float x = product * score.scale;
  if (score.softcap > 0) {  // softcap * tanh(x / softcap), of few instructions
    x = score.softcap * (1.0f - __fdividef(2.0f, __expf(2.0f * x / score.softcap) + 1.0f));
  }
  if (score.slopes == nullptr) return x;
  if (!score.bias_bf16) return fmaf(bias.slope, static_cast<float>(key - position), x);
  const float place = round_bf16(bias.slope * round_bf16(static_cast<float>(key)));
  return fmaf(score.bias_scale, place - bias.own, x);
}

// The sequence whose query rows hold `row`; -1 where none does.
__device__ __forceinline__ int32_t sequence_of(const AttentionArgs& args, int32_t row) {
  int32_t low = 0, high = *args.sequences.count;  // row_begin[low] <= row < row_begin[high]
  if (row >= *args.rows.count || high == 0 || row >= args.row_begin[high]) return -1;
  while (high - low > 1) {
    const int32_t middle = (low + high) / 2;
    (args.row_begin[middle] <= row ? low : high) = middle;
  }
  return low;
}

}  // namespace tensormill
