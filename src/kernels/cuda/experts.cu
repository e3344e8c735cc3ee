#include <algorithm>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/expert_tile.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int32_t kAddThreads = 128;
constexpr int32_t kPlainTile = 32;

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

// Any types and sizes; the first product of f32 weights comes here too.
template <class T>
__global__ void __launch_bounds__(kPlainTile* kPlainTile) multiply_plain(const ExpertProduct p) {
  release_next();
  wait_for_previous();
  __shared__ float w[kPlainTile][kPlainTile + 1], x[kPlainTile][kPlainTile + 1];
  const ExpertTile tile = find_tile<kPlainTile * kPlainTile>(p.begin, p.experts, kPlainTile,
                                                             static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int32_t first = blockIdx.x * kPlainTile;
  const int32_t i = threadIdx.x % kPlainTile, j = threadIdx.x / kPlainTile;
  const T* weight = static_cast<const T*>(p.weight) + tile.expert * p.step;
  const int32_t place = tile.first + min(j, tile.rows - 1);
  const T* in =
      static_cast<const T*>(p.in.x) + (p.row == nullptr ? place : p.row[place]) * p.in.stride;
  float sum = 0;
  for (int32_t k = 0; k < p.inner; k += kPlainTile) {
    const bool inside = k + i < p.inner;
    w[j][i] =
        inside && first + j < p.outputs ? to_float(weight[(first + j) * p.packed + k + i]) : 0.0f;
    x[j][i] = inside ? to_float(in[k + i]) : 0.0f;
    __syncthreads();
#pragma unroll
    for (int32_t l = 0; l < kPlainTile; ++l) sum += w[i][l] * x[j][l];
    __syncthreads();
  }
  const float up = __shfl_down_sync(~0u, sum, 1);
  sum = activate(p.act, sum);
  if (p.gated) sum *= up;
  const int32_t output = first + i;
  if (j >= tile.rows || output >= p.outputs || (p.gated && i % 2 != 0)) return;
  store_as(p.out.x, p.out.type, (tile.first + j) * p.out.stride + (p.gated ? output / 2 : output),
           sum);
}

constexpr int32_t kWarps = 4;       // of a block on tensor cores: they split the inner dimension
constexpr int32_t kOutputs = 16;    // of such a block
constexpr int32_t kStepInner = 32;  // four lanes with 16 bytes each

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

// The sums of the warps' parts of the inner dimension, in the order of warps.
template <int32_t tiles>
__device__ __forceinline__ void add_parts(float (&sum)[tiles][4], int32_t used) {
  __shared__ float part[kWarps - 1][tiles][4][32];
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
    for (int32_t w = 0; w < kWarps - 1; ++w) {
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) sum[t][i] += part[w][t][i][lane];
    }
  }
}

// 16 outputs for up to 8 * tiles places of one expert. The weights are the left factor of
// mma.m16n8k16 and stream from memory once, places are its 8 columns. In the order of the inner
// dimension that both factors share, a lane's 16 bytes serve two steps. Rows i and i + 8 of the
// left factor are the outputs 2i and 2i + 1, so that a lane holds both of a gated pair.
template <class T, int32_t tiles>
__global__ void __launch_bounds__(32 * kWarps) multiply_few(const ExpertProduct p, bool pieces) {
  release_next();
  wait_for_previous();
  const ExpertTile tile =
      find_tile<32 * kWarps>(p.begin, p.experts, 8 * tiles, static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4;
  const int32_t used = (tile.rows + 7) / 8;
  const int32_t output = blockIdx.x * kOutputs + 2 * group;
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
  for (int32_t step = warp; step < steps; step += kWarps) {
    const int32_t k = step * kStepInner + 8 * (lane % 4);
    uint4 a[2] = {};
    if (k < packed) {
      a[0] = __ldcs(reinterpret_cast<const uint4*>(rows[0] + k));
      a[1] = __ldcs(reinterpret_cast<const uint4*>(rows[1] + k));
    }
    const uint32_t first[4] = {a[0].x, a[1].x, a[0].y, a[1].y};
    const uint32_t second[4] = {a[0].z, a[1].z, a[0].w, a[1].w};
#pragma unroll
    for (int32_t t = 0; t < tiles; ++t) {
      if (t >= used) continue;
      const uint4 b = load_eight(in[t], k, p.inner, pieces);
      mma_16x8x16<T>(sum[t], first, b.x, b.y);
      mma_16x8x16<T>(sum[t], second, b.z, b.w);
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

// Rows' results in ascending order of experts.
__global__ void __launch_bounds__(kAddThreads) add_up(const ExpertsArgs args) {
  release_next();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const int32_t width = args.second.outputs, d = blockIdx.y * kAddThreads + threadIdx.x;
  if (row >= *args.live.count || d >= width) return;
  float sum = args.addend == nullptr ? 0.0f : args.addend[row * width + d];
  for (int32_t i = 0; i < args.active; ++i) {
    const int64_t pair = row * args.active + i;
    sum += args.routes.weight[pair] * args.value[int64_t{args.routes.place[pair]} * width + d];
  }
  args.out[row * width + d] = sum;
}

template <class T, int32_t tiles>
void run_few(const ExpertProduct& p, bool pieces, int32_t places, const CudaContext& context) {
  const dim3 grid(static_cast<uint32_t>((p.outputs + kOutputs - 1) / kOutputs),
                  static_cast<uint32_t>(most_tiles(places, p.experts, 8 * tiles)));
  launch(context, multiply_few<T, tiles>, grid, 32 * kWarps, 0, p, pieces);
}

template <class T>
void run_product(const ExpertProduct& p, int32_t rows, int32_t places, const CudaContext& context) {
  if constexpr (sizeof(T) == 4) {
    const dim3 grid(static_cast<uint32_t>((p.outputs + kPlainTile - 1) / kPlainTile),
                    static_cast<uint32_t>(most_tiles(places, p.experts, kPlainTile)));
    launch(context, multiply_plain<T>, grid, kPlainTile * kPlainTile, 0, p);
  } else {
    const bool pieces =
        reinterpret_cast<uintptr_t>(p.in.x) % 16 == 0 && p.in.stride % 8 == 0 && p.inner % 8 == 0;
    if (rows <= 8) {
      run_few<T, 1>(p, pieces, places, context);
    } else {
      run_few<T, 4>(p, pieces, places, context);
    }
  }
}

template <class T>
void run(const ExpertsArgs& args, const CudaContext& context) {
  const int32_t rows = args.live.bound, places = rows * args.active;
  const auto product = [&](const Packed& weight) {
    const int64_t packed = packed_row(weight.format, weight.inner);
    ExpertProduct p{};
    p.weight = weight.data;
    p.packed = packed;
    p.step = packed * weight.outputs;
    p.outputs = weight.outputs;
    p.inner = weight.inner;
    p.begin = args.routes.begin;
    p.experts = args.experts;
    return p;
  };
  ExpertProduct first = product(args.first);
  first.row = args.routes.row;
  first.in = args.in;
  first.out = args.inner;
  first.act = args.act;
  first.gated = args.gated;
  run_product<T>(first, rows, places, context);
  ExpertProduct second = product(args.second);
  second.in = args.inner;
  second.out = {args.value, DType::kF32, args.second.outputs};
  run_product<T>(second, rows, places, context);
}

}  // namespace

void cuda_experts(const ExpertsArgs& args, CudaContext& context) {
  if (args.live.bound <= 0) return;
  if (args.first.format == WeightFormat::kF32) {
    run<float>(args, context);
  } else if (args.first.format == WeightFormat::kF16) {
    run<__half>(args, context);
  } else {
    run<__nv_bfloat16>(args, context);
  }
  const dim3 grid(static_cast<uint32_t>(args.live.bound),
                  static_cast<uint32_t>((args.second.outputs + kAddThreads - 1) / kAddThreads));
  launch(context, add_up, grid, kAddThreads, 0, args);
}

}  // namespace tensormill
