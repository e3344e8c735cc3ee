#include <algorithm>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/expert_tile.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/wide.h"

namespace tensormill {
namespace {

constexpr int32_t kAddThreads = 128;
constexpr int32_t kTakeThreads = 128;
// From so many places for each expert on, tensor cores are busier than memory.
constexpr int32_t kManyPlaces = 16;
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
constexpr int32_t kOneWarps = 16;   // at most, of a block that finishes one row
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

// 16 outputs for up to 8 * tiles places of one expert, whose weights stream from memory once. With
// one row (`only`) its pairs are the tiles.
template <class T, int32_t tiles>
__global__ void __launch_bounds__(32 * kWarps)
    multiply_few(const ExpertProduct p, const int32_t* only, bool pieces) {
  release_next();
  wait_for_previous();
  const auto index = static_cast<int32_t>(blockIdx.y);
  const ExpertTile tile = only != nullptr
                              ? ExpertTile{only[index], index, min(1, p.begin[p.experts])}
                              : find_tile<32 * kWarps>(p.begin, p.experts, 8 * tiles, index);
  if (tile.rows == 0) return;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4;
  const int32_t used = (tile.rows + 7) / 8;
  Stream16<T, 4> stream(p, tile.expert, blockIdx.x * kOutputs, warp, kWarps);
  const T* in[tiles];
#pragma unroll
  for (int32_t t = 0; t < tiles; ++t) {
    const int32_t place = tile.first + min(8 * t + group, tile.rows - 1);
    in[t] = static_cast<const T*>(p.in.x) + (p.row == nullptr ? place : p.row[place]) * p.in.stride;
  }
  float sum[tiles][4] = {};
  stream.multiply(sum, in, used, p.inner, pieces);
  const int32_t output = blockIdx.x * kOutputs + 2 * group;
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
__global__ void __launch_bounds__(32 * kOneWarps)
    finish_one(const ExpertsArgs args, const ExpertProduct p, int32_t parts, bool pieces) {
  __shared__ float part[kOneWarps][kOutputs];
  release_next();
  wait_for_previous();
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, pair = warp / parts;
  const int32_t output = blockIdx.x * kOutputs;
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
  if (threadIdx.x >= kOutputs || own >= p.outputs) return;
  float total = args.addend == nullptr ? 0.0f : args.addend[own];
  for (int32_t i = 0; i < args.active; ++i) {
    float value = 0;
    for (int32_t j = 0; j < parts; ++j) value += part[i * parts + j][threadIdx.x];
    total += args.routes.weight[i] * value;
  }
  args.out[own] = total;
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

// The input's rows in the order of places, in pieces of 16 bytes.
__global__ void __launch_bounds__(kTakeThreads) take_rows(const ExpertsArgs args) {
  release_next();
  wait_for_previous();
  const int32_t place = blockIdx.x, pieces = args.first.inner / 8;
  if (place >= *args.live.count * args.active) return;
  const auto* from =
      static_cast<const uint16_t*>(args.in.x) + int64_t{args.routes.row[place]} * args.in.stride;
  auto* to = static_cast<uint16_t*>(args.taken.x) + int64_t{place} * args.taken.stride;
  for (int32_t i = threadIdx.x; i < pieces; i += kTakeThreads) {
    reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(from)[i];
  }
}

template <class T, int32_t tiles>
void run_few(const ExpertProduct& p, const int32_t* only, bool pieces, int32_t places,
             const CudaContext& context) {
  const int32_t most = only != nullptr ? places : most_tiles(places, p.experts, 8 * tiles);
  const dim3 grid(static_cast<uint32_t>((p.outputs + kOutputs - 1) / kOutputs),
                  static_cast<uint32_t>(most));
  launch(context, multiply_few<T, tiles>, grid, 32 * kWarps, 0, p, only, pieces);
}

bool in_pieces(const ExpertProduct& p) {
  return reinterpret_cast<uintptr_t>(p.in.x) % 16 == 0 && p.in.stride % 8 == 0 && p.inner % 8 == 0;
}

template <class T>
void run_product(const ExpertProduct& p, const ExpertsArgs& args, const CudaContext& context) {
  const int32_t rows = args.live.bound, places = rows * args.active;
  if constexpr (sizeof(T) == 4) {
    const dim3 grid(static_cast<uint32_t>((p.outputs + kPlainTile - 1) / kPlainTile),
                    static_cast<uint32_t>(most_tiles(places, p.experts, kPlainTile)));
    launch(context, multiply_plain<T>, grid, kPlainTile * kPlainTile, 0, p);
  } else if (rows <= 8) {
    run_few<T, 1>(p, rows == 1 ? args.routes.expert : nullptr, in_pieces(p), places, context);
  } else if (rows <= 16) {
    run_few<T, 2>(p, nullptr, in_pieces(p), places, context);
  } else {
    run_few<T, 4>(p, nullptr, in_pieces(p), places, context);
  }
}

void run_sums(const ExpertsArgs& args, const CudaContext& context) {
  const dim3 grid(static_cast<uint32_t>(args.live.bound),
                  static_cast<uint32_t>((args.second.outputs + kAddThreads - 1) / kAddThreads));
  launch(context, add_up, grid, kAddThreads, 0, args);
}

ExpertProduct product_of(const Packed& weight, const ExpertsArgs& args) {
  ExpertProduct p{};
  p.weight = weight.data;
  p.packed = packed_row(weight.format, weight.inner);
  p.step = p.packed * weight.outputs;
  p.outputs = weight.outputs;
  p.inner = weight.inner;
  p.begin = args.routes.begin;
  p.experts = args.experts;
  return p;
}

template <class T>
void run(const ExpertsArgs& args, const CudaContext& context) {
  ExpertProduct first = product_of(args.first, args);
  first.row = args.routes.row;
  first.in = args.in;
  first.out = args.inner;
  first.act = args.act;
  first.gated = args.gated;
  run_product<T>(first, args, context);
  ExpertProduct second = product_of(args.second, args);
  second.in = args.inner;
  second.out = {args.value, DType::kF32, args.second.outputs};
  if constexpr (sizeof(T) == 2) {
    if (args.live.bound == 1 && args.active <= kOneWarps) {
      const int32_t parts = kOneWarps / args.active;
      const auto blocks = static_cast<uint32_t>((second.outputs + kOutputs - 1) / kOutputs);
      launch(context, finish_one<T>, blocks, static_cast<uint32_t>(32 * parts * args.active), 0,
             args, second, parts, in_pieces(second));
      return;
    }
  }
  run_product<T>(second, args, context);
  run_sums(args, context);
}

// With many places for each expert: whole tiles of them at a time. False where that doesn't run.
bool run_many(const ExpertsArgs& args, const CudaContext& context) {
  const int32_t places = args.live.bound * args.active;
  if (places < kManyPlaces * args.experts || args.first.inner % 8 != 0 ||
      args.in.type != args.taken.type || args.in.stride % 8 != 0 ||
      reinterpret_cast<uintptr_t>(args.in.x) % 16 != 0) {
    return false;
  }
  const Live live{nullptr, places};
  const WideProduct first{args.first, args.experts, args.routes.begin, args.taken, args.inner,
                          nullptr,    args.act,     args.gated,        live};
  const WideProduct second{args.second,
                           args.experts,
                           args.routes.begin,
                           args.inner,
                           {args.value, DType::kF32, args.second.outputs},
                           nullptr,
                           Activation::kNone,
                           false,
                           live};
  if (!runs_wide(first, context) || !runs_wide(second, context)) return false;
  launch(context, take_rows, static_cast<uint32_t>(places), kTakeThreads, 0, args);
  run_wide(first, context);
  run_wide(second, context);
  return true;
}

}  // namespace

void cuda_experts(const ExpertsArgs& args, CudaContext& context) {
  if (args.live.bound <= 0) return;
  if (args.first.format == WeightFormat::kF32) {
    run<float>(args, context);
  } else if (run_many(args, context)) {
    run_sums(args, context);
  } else if (args.first.format == WeightFormat::kF16) {
    run<__half>(args, context);
  } else {
    run<__nv_bfloat16>(args, context);
  }
}

}  // namespace tensormill
