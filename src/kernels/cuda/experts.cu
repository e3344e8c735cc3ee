#include <algorithm>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/expert_stream.cuh"
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
  const dim3 grid(static_cast<uint32_t>((p.outputs + kExpertOutputs - 1) / kExpertOutputs),
                  static_cast<uint32_t>(most));
  launch(context, multiply_few<T, tiles>, grid, 32 * kExpertWarps, 0, p, only, pieces);
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
    if (args.live.bound == 1 && args.active <= kOneRowWarps) {
      const int32_t parts = kOneRowWarps / args.active;
      const auto blocks =
          static_cast<uint32_t>((second.outputs + kExpertOutputs - 1) / kExpertOutputs);
      launch(context, finish_one_row<T>, blocks, static_cast<uint32_t>(32 * parts * args.active), 0,
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
