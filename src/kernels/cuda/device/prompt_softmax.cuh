#pragma once

// Scores of tensor cores in registers, and their online softmax. A thread holds 2 query rows (8
// apart) and of every 8 keys two: score 4n + 2i + c belongs to row i and key 8n + c, counted from
// the thread's first. The 4 neighbours of a quad hold the rest of the rows.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/device/prompt_work.cuh"

namespace tensormill {

inline constexpr float kLog2E = 1.4426950408889634f;

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Two values as the type's pair, the first in the low half.
template <class T>
__device__ __forceinline__ uint32_t pack_pair(float low, float high);
template <>
__device__ __forceinline__ uint32_t pack_pair<__nv_bfloat16>(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
template <>
__device__ __forceinline__ uint32_t pack_pair<__half>(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ __forceinline__ float rounded_to_bf16(float x) {
  return __bfloat162float(__float2bfloat16_rn(x));
}

// What a thread knows of its two rows in one tile.
struct PromptRows {
  int32_t position[2];
  int32_t end[2], begin[2];  // keys seen besides the prefix
  float top[2], sum[2];      // of the scores so far; the sum is of this thread's keys alone
};

__device__ __forceinline__ void set_rows(const Score& score, const PromptWork& work,
                                         int32_t position, PromptRows& rows) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    rows.position[i] = position + 8 * i;
    rows.end[i] = min(seen_end(score, work, rows.position[i]), work.keys);
    rows.begin[i] = seen_begin(score, rows.position[i]);
    rows.top[i] = -INFINITY;
    rows.sum[i] = 0;
  }
}

// ALiBi's terms. `key` is the thread's first.
template <int N>
__device__ __forceinline__ void add_slopes(const PromptRows& rows, float steep, int32_t key,
                                           float (&s)[N]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float distance = static_cast<float>(key - rows.position[i]);
#pragma unroll
    for (int e = 2 * i; e < N; e += 4) {
      const float step = static_cast<float>(e / 4 * 8);
      s[e] = fmaf(steep, distance + step, s[e]);
      s[e + 1] = fmaf(steep, distance + (step + 1), s[e + 1]);
    }
  }
}

// The same with Score's bias_bf16.
template <int N>
__device__ __forceinline__ void add_rounded_slopes(const Score& score, const PromptRows& rows,
                                                   float slope, int32_t key, float (&s)[N]) {
  const float rounded_slope = rounded_to_bf16(slope), first = static_cast<float>(key);
  const auto term = [&](float place) {
    return rounded_to_bf16(rounded_slope * rounded_to_bf16(place));
  };
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float own = term(static_cast<float>(rows.position[i]));
#pragma unroll
    for (int e = 2 * i; e < N; e += 4) {
      const float step = static_cast<float>(e / 4 * 8);
      s[e] += score.bias_scale * (term(first + step) - own);
      s[e + 1] += score.bias_scale * (term(first + (step + 1)) - own);
    }
  }
}

// Turns products q . k into scores: scale, cap and ALiBi.
template <int N>
__device__ __forceinline__ void add_terms(const Score& score, const PromptRows& rows, float slope,
                                          int32_t key, float (&s)[N]) {
  if (score.softcap > 0) {  // tanh(x) = 1 - 2 / (exp(2x) + 1)
    const float scale = 2.0f * kLog2E * score.scale / score.softcap;
    const float twice = -2.0f * score.softcap;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      const float grown = exp2_fast(fminf(s[e] * scale, 120.0f)) + 1.0f;
      s[e] = fmaf(twice, reciprocal_fast(grown), score.softcap);
    }
  } else {
#pragma unroll
    for (int e = 0; e < N; ++e) s[e] *= score.scale;
  }
  if (score.slopes == nullptr) return;
  if (score.bias_bf16) {
    add_rounded_slopes(score, rows, slope, key, s);
  } else {
    add_slopes(rows, slope * score.bias_scale, key, s);
  }
}

// Keys that a row doesn't see get the score -infinity. kEnds: only keys at the end are unseen.
template <bool kEnds, int N>
__device__ __forceinline__ void mask_unseen(const PromptRows& rows, int32_t prefix, int32_t key,
                                            float (&s)[N]) {
#pragma unroll
  for (int e = 0; e < N; ++e) {
    const int i = e / 2 % 2, step = e / 4 * 8 + e % 2;
    bool seen = step < rows.end[i] - key;
    if constexpr (!kEnds) seen = seen && (step >= rows.begin[i] - key || step < prefix - key);
    if (!seen) s[e] = -INFINITY;
  }
}

template <int N>
__device__ __forceinline__ void mask_unseen(const Score& score, const PromptRows& rows,
                                            int32_t prefix, int32_t key, float (&s)[N]) {
  if (score.window == 0) {
    mask_unseen<true>(rows, prefix, key, s);
  } else {
    mask_unseen<false>(rows, prefix, key, s);
  }
}

// Scores to weights exp2(scale * (s - maximum)); keep[i] is what earlier weights are worth now.
// kMasked: a row may not have seen a key yet.
template <bool kMasked, int N>
__device__ __forceinline__ void soften(PromptRows& rows, float scale, float (&s)[N],
                                       float (&keep)[2]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float top = rows.top[i];
#pragma unroll
    for (int e = 2 * i; e < N; e += 4) top = fmaxf(top, fmaxf(s[e], s[e + 1]));
    top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
    top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
    float shift = top * scale;
    if (kMasked && top == -INFINITY) shift = 0;
    keep[i] = exp2_fast(rows.top[i] * scale - shift);
    rows.top[i] = top;
    float sum = rows.sum[i] * keep[i];
#pragma unroll
    for (int e = 2 * i; e < N; e += 4) {
      s[e] = exp2_fast(fmaf(s[e], scale, -shift));
      s[e + 1] = exp2_fast(fmaf(s[e + 1], scale, -shift));
      sum += s[e] + s[e + 1];
    }
    rows.sum[i] = sum;
  }
}

// Weights as the A operands of the next product, 4 registers for 16 keys.
template <class T, int N>
__device__ __forceinline__ void pack_weights(const float (&s)[N], uint32_t (&p)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) p[i] = pack_pair<T>(s[2 * i], s[2 * i + 1]);
}

template <int N>
__device__ __forceinline__ void rescale(const float (&by)[2], float (&o)[N]) {
#pragma unroll
  for (int e = 0; e < N; ++e) o[e] *= by[e / 2 % 2];
}

// 1 / (sum of all the row's weights).
__device__ __forceinline__ void invert_sums(const PromptRows& rows, float (&inverse)[2]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float sum = rows.sum[i];
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    inverse[i] = sum > 0 ? 1.0f / sum : 0.0f;
  }
}

}  // namespace tensormill
