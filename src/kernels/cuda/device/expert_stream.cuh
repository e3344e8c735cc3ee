#pragma once

// Products of few rows for each expert (sm_80 and later): weights stream from memory once.

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

inline constexpr int32_t kExpertWarps =
    4;  // of a block on tensor cores: they split the inner dimension
inline constexpr int32_t kOneRowWarps = 16;    // at most, of a block that finishes one row
inline constexpr int32_t kExpertOutputs = 16;  // of such a block
inline constexpr int32_t kStepInner = 32;      // four lanes with 16 bytes each

// Eight values of an input row from k on; zeros beyond its end.
template <class T>
__device__ __forceinline__ uint4 load_eight(const T* row, int32_t k, int32_t inner, bool pieces) {
  uint4 v{};
  if (pieces) {
    if (k < inner) v = *reinterpret_cast<const uint4*>(row + k);
    return v;
  }
  T* values = reinterpret_cast<T*>(&v);
#pragma unroll
  for (int32_t i = 0; i < 8; ++i) {
    if (k + i < inner) values[i] = row[k + i];
  }
  return v;
}

// A warp's way along 16 rows of weights, some steps ahead of what is multiplied. The weights are
// the left factor of mma.m16n8k16, inputs its 8 columns. In the order of the inner dimension that
// both factors share, a lane's 16 bytes serve two products. Rows i and i + 8 of the left factor
// are the outputs 2i and 2i + 1, so that a lane holds both of a gated pair.
template <class T, int32_t ahead>
class Stream16 {
 public:
  // Steps first, first + stride, ...
  __device__ Stream16(const ExpertProduct& p, int32_t expert, int32_t output, int32_t first,
                      int32_t stride)
      : packed_(static_cast<int32_t>(p.packed)), first_(first), stride_(stride) {
    const T* weight = static_cast<const T*>(p.weight) + expert * p.step;
    const int32_t own = output + static_cast<int32_t>(threadIdx.x % 32 / 4) * 2;
    row_ = weight + min(own, p.outputs - 1) * p.packed;
    next_ = weight + min(own + 1, p.outputs - 1) * p.packed;
#pragma unroll
    for (int32_t i = 0; i < ahead; ++i) load(first + i * stride, ring_[i]);
  }

  // sum += products with the inputs of the first `used` tiles; a lane's are in[tile].
  template <int32_t tiles>
  __device__ void multiply(float (&sum)[tiles][4], const T* const (&in)[tiles], int32_t used,
                           int32_t inner, bool pieces) {
    for (int32_t step = first_; step * kStepInner < packed_; step += ahead * stride_) {
#pragma unroll
      for (int32_t i = 0; i < ahead; ++i) {
        const uint4 a = ring_[i][0], b = ring_[i][1];
        const int32_t own = step + i * stride_;
        load(own + ahead * stride_, ring_[i]);
        const uint32_t first[4] = {a.x, b.x, a.y, b.y}, second[4] = {a.z, b.z, a.w, b.w};
#pragma unroll
        for (int32_t t = 0; t < tiles; ++t) {
          if (t >= used) continue;
          const uint4 x = load_eight(in[t], place(own), inner, pieces);
          mma_16x8x16<T>(sum[t], first, x.x, x.y);
          mma_16x8x16<T>(sum[t], second, x.z, x.w);
        }
      }
    }
  }

 private:
  __device__ static int32_t place(int32_t step) {
    return step * kStepInner + static_cast<int32_t>(threadIdx.x % 4) * 8;
  }
  __device__ void load(int32_t step, uint4 (&to)[2]) const {
    const int32_t k = place(step);
    to[0] = to[1] = uint4{};
    if (k >= packed_) return;
    to[0] = __ldcs(reinterpret_cast<const uint4*>(row_ + k));
    to[1] = __ldcs(reinterpret_cast<const uint4*>(next_ + k));
  }

  int32_t packed_, first_, stride_;
  const T *row_, *next_;
  uint4 ring_[ahead][2];
};

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

// 16 outputs for up to 8 * tiles places of one expert, whose weights stream from memory once. With
// one row (`only`) its pairs are the tiles.
template <class T, int32_t tiles>
__global__ void __launch_bounds__(32 * kExpertWarps)
    multiply_few(const ExpertProduct p, const int32_t* only, bool pieces) {
  release_next();
  wait_for_previous();
  const auto index = static_cast<int32_t>(blockIdx.y);
  const ExpertTile tile = only != nullptr
                              ? ExpertTile{only[index], index, min(1, p.begin[p.experts])}
                              : find_tile<32 * kExpertWarps>(p.begin, p.experts, 8 * tiles, index);
  if (tile.rows == 0) return;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4;
  const int32_t used = (tile.rows + 7) / 8;
  Stream16<T, 4> stream(p, tile.expert, blockIdx.x * kExpertOutputs, warp, kExpertWarps);
  const T* in[tiles];
#pragma unroll
  for (int32_t t = 0; t < tiles; ++t) {
    const int32_t place = tile.first + min(8 * t + group, tile.rows - 1);
    in[t] = static_cast<const T*>(p.in.x) + (p.row == nullptr ? place : p.row[place]) * p.in.stride;
  }
  float sum[tiles][4] = {};
  stream.multiply(sum, in, used, p.inner, pieces);
  const int32_t output = blockIdx.x * kExpertOutputs + 2 * group;
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

// The second product of one row's experts and their sum: 16 outputs of a block, each expert a few
// warps of it.
template <class T>
__global__ void __launch_bounds__(32 * kOneRowWarps)
    finish_one_row(const ExpertsArgs args, const ExpertProduct p, int32_t parts, bool pieces) {
  __shared__ float part[kOneRowWarps][kExpertOutputs];
  release_next();
  wait_for_previous();
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, pair = warp / parts;
  const int32_t output = blockIdx.x * kExpertOutputs;
  if (*args.live.count == 0) return;
  Stream16<T, 4> stream(p, args.routes.expert[pair], output, warp % parts, parts);
  const T* const in[1] = {static_cast<const T*>(p.in.x) + pair * p.in.stride};
  float sum[1][4] = {};
  stream.multiply(sum, in, 1, p.inner, pieces);
  if (lane % 4 == 0) {
    part[warp][lane / 2] = sum[0][0];
    part[warp][lane / 2 + 1] = sum[0][2];
  }
  __syncthreads();
  const int32_t own = output + static_cast<int32_t>(threadIdx.x);
  if (threadIdx.x >= kExpertOutputs || own >= p.outputs) return;
  float total = args.addend == nullptr ? 0.0f : args.addend[own];
  for (int32_t i = 0; i < args.active; ++i) {
    float value = 0;
    for (int32_t j = 0; j < parts; ++j) value += part[i * parts + j][threadIdx.x];
    total += args.routes.weight[i] * value;
  }
  args.out[own] = total;
}

}  // namespace tensormill
