#pragma once

// Products of few rows for each expert (sm_80 and later): weights stream from memory once.

#include <cstring>
#include <type_traits>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/expert_tile.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill {

// One of the two products of every expert.
struct ExpertProduct {
  const void* weight;  // expert 0's [outputs, packed]
  int64_t packed, step;
  int32_t outputs, inner;
  const int32_t *begin, *row;  // of Routes; row null: input rows lie in the order of places
  int32_t experts;
  Rows in, out;
  Activation act;
  bool gated;
};

inline constexpr int32_t kExpertWarps = 4;     // of a block; on tensor cores they split the sums
inline constexpr int32_t kOneRowWarps = 16;    // at most, of a block that finishes one row
inline constexpr int32_t kExpertOutputs = 16;  // of such a block
inline constexpr int32_t kRun = 256;           // values that a warp reads at once of a row
inline constexpr int32_t kStepInner = 32;      // four lanes with 16 bytes each

__device__ __forceinline__ float2 to_floats(__half2 x) {
  return __half22float2(x);
}
__device__ __forceinline__ float2 to_floats(__nv_bfloat162 x) {
  return __bfloat1622float2(x);
}

// Eight values of an input row from k on; zeros beyond its end.
template <class T>
__device__ __forceinline__ uint4 load_eight(const T* row, int32_t k, int32_t inner, bool pieces) {
  if (pieces) return k < inner ? *reinterpret_cast<const uint4*>(row + k) : uint4{};
  T values[8];
#pragma unroll
  for (int32_t i = 0; i < 8; ++i) values[i] = k + i < inner ? row[k + i] : from_float<T>(0.0f);
  uint4 v;
  memcpy(&v, values, sizeof v);
  return v;
}

// The sums of the warps' parts of the inner dimension, in the order of warps.
template <int32_t tiles>
__device__ __forceinline__ void add_parts(float (&sum)[tiles][4], int32_t used) {
  __shared__ float part[kExpertWarps - 1][tiles][4][32];
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (int32_t t = 0; t < tiles; ++t) {
    if (warp == 0 || t >= used) continue;
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) part[warp - 1][t][i][lane] = sum[t][i];
  }
  __syncthreads();
  if (warp != 0) return;
#pragma unroll
  for (int32_t t = 0; t < tiles; ++t) {
    if (t >= used) continue;
#pragma unroll
    for (int32_t w = 0; w < kExpertWarps - 1; ++w) {
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) sum[t][i] += part[w][t][i][lane];
    }
  }
}

// 16 outputs for up to 8 * tiles places of one expert. The weights are the left factor of
// mma.m16n8k16, places its 8 columns. In the order of the inner dimension that both factors share,
// a lane's 16 bytes serve two products. Rows i and i + 8 of the left factor are the outputs 2i and
// 2i + 1, so that a lane holds both of a gated pair.
template <class T, int32_t tiles>
__global__ void __launch_bounds__(32 * kExpertWarps)
    multiply_few(const ExpertProduct p, bool pieces) {
  release_next();
  wait_for_previous();
  const ExpertTile tile =
      find_tile<32 * kExpertWarps>(p.begin, p.experts, 8 * tiles, static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4;
  const int32_t used = (tile.rows + 7) / 8;
  const int32_t output = blockIdx.x * kExpertOutputs + 2 * group;
  const T* weight = static_cast<const T*>(p.weight) + tile.expert * p.step;
  const T* rows[2] = {weight + min(output, p.outputs - 1) * p.packed,
                      weight + min(output + 1, p.outputs - 1) * p.packed};
  const T* in[tiles];
#pragma unroll
  for (int32_t t = 0; t < tiles; ++t) {
    const int32_t place = tile.first + min(8 * t + group, tile.rows - 1);
    in[t] = static_cast<const T*>(p.in.x) + (p.row == nullptr ? place : p.row[place]) * p.in.stride;
  }
  float sum[tiles][4] = {};
  const auto packed = static_cast<int32_t>(p.packed);
  const int32_t steps = (packed + kStepInner - 1) / kStepInner;
#pragma unroll 4
  for (int32_t step = warp; step < steps; step += kExpertWarps) {
    const int32_t k = step * kStepInner + 8 * (lane % 4);
    uint4 a = {}, b = {};
    if (k < packed) {
      a = __ldcs(reinterpret_cast<const uint4*>(rows[0] + k));
      b = __ldcs(reinterpret_cast<const uint4*>(rows[1] + k));
    }
    const uint32_t first[4] = {a.x, b.x, a.y, b.y}, second[4] = {a.z, b.z, a.w, b.w};
#pragma unroll
    for (int32_t t = 0; t < tiles; ++t) {
      if (t >= used) continue;
      const uint4 x = load_eight(in[t], k, p.inner, pieces);
      mma_16x8x16<T>(sum[t], first, x.x, x.y);
      mma_16x8x16<T>(sum[t], second, x.z, x.w);
    }
  }
  add_parts(sum, used);
  if (warp != 0) return;
#pragma unroll
  for (int32_t t = 0; t < tiles; ++t) {
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      const int32_t at = 8 * t + 2 * (lane % 4) + i;
      if (at >= tile.rows || output >= p.outputs) continue;
      const int64_t to = (tile.first + at) * p.out.stride;
      const float x = activate(p.act, sum[t][i]);
      if (p.gated) {
        store_as(p.out.x, p.out.type, to + output / 2, x * sum[t][i + 2]);
      } else {
        store_as(p.out.x, p.out.type, to + output, x);
        if (output + 1 < p.outputs) {
          store_as(p.out.x, p.out.type, to + output + 1, activate(p.act, sum[t][i + 2]));
        }
      }
    }
  }
}

// Eight products of T's, added to a sum.
template <class T>
__device__ __forceinline__ float dot_eight(float sum, uint4 a, uint4 b) {
  using Pair = std::conditional_t<std::is_same_v<T, __half>, __half2, __nv_bfloat162>;
  const auto* x = reinterpret_cast<const Pair*>(&a);
  const auto* y = reinterpret_cast<const Pair*>(&b);
#pragma unroll
  for (int32_t i = 0; i < 4; ++i) {
    const float2 f = to_floats(x[i]), g = to_floats(y[i]);
    sum = fmaf(f.x, g.x, sum);
    sum = fmaf(f.y, g.y, sum);
  }
  return sum;
}

// A warp's dot products of one input row and four rows of weights, runs first, first + stride, ...
// of kRun values each. Every lane gets the sums.
template <class T>
__device__ __forceinline__ void dot_four(const ExpertProduct& p, int32_t expert, int32_t output,
                                         const T* in, int32_t first, int32_t stride,
                                         float (&sum)[4]) {
  const T* rows[4];
#pragma unroll
  for (int32_t r = 0; r < 4; ++r) {
    rows[r] = static_cast<const T*>(p.weight) + expert * p.step +
              min(output + r, p.outputs - 1) * p.packed;
    sum[r] = 0;
  }
  const int32_t lane = threadIdx.x % 32;
#pragma unroll 2
  for (int32_t k = first * kRun + 8 * lane; k < p.inner; k += stride * kRun) {
    uint4 w[4];
#pragma unroll
    for (int32_t r = 0; r < 4; ++r) w[r] = __ldcs(reinterpret_cast<const uint4*>(rows[r] + k));
    const uint4 x = *reinterpret_cast<const uint4*>(in + k);
#pragma unroll
    for (int32_t r = 0; r < 4; ++r) sum[r] = dot_eight<T>(sum[r], w[r], x);
  }
#pragma unroll
  for (int32_t r = 0; r < 4; ++r) {
    for (int32_t step = 16; step > 0; step /= 2) sum[r] += __shfl_xor_sync(~0u, sum[r], step);
  }
}

// The first product of one row's experts: four outputs of one expert a warp.
template <class T>
__global__ void __launch_bounds__(32 * kExpertWarps)
    multiply_one_row(const ExpertsArgs args, const ExpertProduct p) {
  release_next();
  wait_for_previous();
  if (*args.live.count == 0) return;
  const int32_t pair = blockIdx.y;
  const int32_t output = 4 * (blockIdx.x * kExpertWarps + threadIdx.x / 32);
  if (output >= p.outputs) return;
  float sum[4];
  dot_four<T>(p, args.routes.expert[pair], output, static_cast<const T*>(p.in.x), 0, 1, sum);
  if (threadIdx.x % 32 != 0) return;
  T* out = static_cast<T*>(p.out.x) + pair * p.out.stride;
#pragma unroll
  for (int32_t r = 0; r < 4; ++r) {
    if (output + r >= p.outputs) break;
    if (!p.gated) {
      out[output + r] = from_float<T>(activate(p.act, sum[r]));
    } else if (r % 2 == 0) {
      out[(output + r) / 2] = from_float<T>(activate(p.act, sum[r]) * sum[r + 1]);
    }
  }
}

// The second product of one row's experts and their sum: four outputs of a block, `parts` warps for
// each expert.
template <class T>
__global__ void __launch_bounds__(32 * kOneRowWarps)
    finish_one_row(const ExpertsArgs args, const ExpertProduct p, int32_t parts) {
  __shared__ float part[kOneRowWarps][4];
  release_next();
  wait_for_previous();
  if (*args.live.count == 0) return;
  const int32_t warp = threadIdx.x / 32, pair = warp / parts, output = 4 * blockIdx.x;
  float sum[4];
  dot_four<T>(p, args.routes.expert[pair], output,
              static_cast<const T*>(p.in.x) + pair * p.in.stride, warp % parts, parts, sum);
  if (threadIdx.x % 32 == 0) {
#pragma unroll
    for (int32_t r = 0; r < 4; ++r) part[warp][r] = sum[r];
  }
  __syncthreads();
  const int32_t own = output + static_cast<int32_t>(threadIdx.x);
  if (threadIdx.x >= 4 || own >= p.outputs) return;
  float total = args.addend == nullptr ? 0.0f : args.addend[own];
  for (int32_t i = 0; i < args.active; ++i) {
    float value = 0;
    for (int32_t j = 0; j < parts; ++j) value += part[i * parts + j][threadIdx.x];
    total += args.routes.weight[i] * value;
  }
  args.out[own] = total;
}

}  // namespace tensormill
