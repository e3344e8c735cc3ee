// The residual stream: adding a branch and norming for the next readers. A block works on one row.
// How a row is spread over threads depends on its width alone, so a row's bits don't depend on how
// many there are.

#include <algorithm>

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kHeld = 2;         // pieces of a row that a thread holds
constexpr int kResident = 1024;  // threads of a multiprocessor that go over many rows

// share: 1 / width, known before the values are.
__device__ __forceinline__ float inverse_root(float square, float share, float eps) {
  return rsqrtf(square * share + eps);
}

// The pieces of a row that one thread holds: those at threadIdx.x, threadIdx.x + blockDim.x, ...
// kFull: all threads' pieces lie in the row.
template <bool kFull>
struct Held {
  Piece<4> piece[kHeld];

  __device__ __forceinline__ static int place(int p) { return (threadIdx.x + p * blockDim.x) * 4; }
  __device__ __forceinline__ static bool inside(int p, int width) {
    return kFull || place(p) < width;
  }
  // Zeros beyond the row.
  __device__ __forceinline__ void load(const float* from, int width) {
#pragma unroll
    for (int p = 0; p < kHeld; ++p) {
      if (inside(p, width)) {
        piece[p] = load_piece<4>(from + place(p));
      } else {
        piece[p] = {};
      }
    }
  }
  // Zeros for null too.
  __device__ __forceinline__ void load_weight(const float* from, int width) {
    if (from != nullptr) {
      load(from, width);
    } else {
      each([](float& value, int, int) { value = 0; });
    }
  }
  template <class F>
  __device__ __forceinline__ void each(F&& f) {
#pragma unroll
    for (int p = 0; p < kHeld; ++p) {
#pragma unroll
      for (int i = 0; i < 4; ++i) f(piece[p].x[i], p, i);
    }
  }
};

template <bool kFull>
struct HeldNorm {
  Held<kFull> weight, shift;

  __device__ __forceinline__ void load(const Norm& norm, int width) {
    const bool wanted = norm.kind != NormKind::kNone;
    weight.load_weight(wanted ? norm.weight : nullptr, width);
    shift.load_weight(wanted ? norm.shift : nullptr, width);
  }

  // x becomes its norm. sums: [2][32] of shared memory.
  __device__ __forceinline__ void apply(const Norm& norm, int width, float share, float (*sums)[32],
                                        Held<kFull>& x) const {
    if (norm.kind == NormKind::kLayer) {
      float sum = 0;
      x.each([&](float& value, int, int) { sum += value; });
      const float mean = block_sum(sum, sums[0]) * share;
      x.each([&](float& value, int p, int) { value = x.inside(p, width) ? value - mean : 0; });
    }
    float square = 0;
    x.each([&](float& value, int, int) { square += value * value; });
    const float inverse = inverse_root(block_sum(square, sums[1]), share, norm.eps);
    x.each([&](float& value, int p, int i) {
      value = value * inverse * weight.piece[p].x[i] + shift.piece[p].x[i];
    });
  }
};

// y = in(r) alone, for many rows: a block stays, keeps the norm's weights and reads its next row
// while it works on one.
template <bool kFull>
__global__ void __launch_bounds__(kMaxThreads)
    norm_rows(const __grid_constant__ ResidualArgs args) {
  release_next();
  __shared__ float sums[2][2][32];
  const int width = args.width;
  HeldNorm<kFull> in;
  in.load(args.in, width);
  const float share = 1.0f / static_cast<float>(width);
  wait_for_previous();
  const int64_t rows = *args.live.count, step = gridDim.x;
  Held<kFull> next;
  if (blockIdx.x < rows) next.load(args.residual + blockIdx.x * int64_t{width}, width);
  int turn = 0;  // sums of a row may be read until the next row's are written
  for (int64_t row = blockIdx.x; row < rows; row += step) {
    Held<kFull> r = next;
    if (row + step < rows) next.load(args.residual + (row + step) * width, width);
    in.apply(args.in, width, share, sums[turn], r);
    turn ^= 1;
#pragma unroll
    for (int p = 0; p < kHeld; ++p) {
      if (!r.inside(p, width)) continue;
      store_piece_as(args.y.x, args.y.type, row * args.y.stride + r.place(p), r.piece[p]);
    }
  }
}

// The row of partials and residual that row `row` of y is made of. What is taken beyond the live
// rows is anything.
__device__ __forceinline__ int64_t source_row(const ResidualArgs& args, int64_t row, bool live) {
  if (args.take == nullptr) return row;
  const int32_t taken = args.take[row];
  return live ? taken : 0;
}

// All loads are issued before any result is needed; rows that aren't live are computed in vain, so
// that no load waits for the count. kOut: with the norm `out`.
template <bool kFull, bool kOut>
__global__ void __launch_bounds__(kMaxThreads)
    residual_held(const __grid_constant__ ResidualArgs args) {
  release_next();
  __shared__ float sums[4][32];
  const int width = args.width;
  const int64_t row = blockIdx.x;
  Held<kFull> bias;
  HeldNorm<kFull> out, in;
  bias.load_weight(args.partials > 0 ? args.bias : nullptr, width);
  if constexpr (kOut) out.load(args.out, width);
  in.load(args.in, width);
  const float share = 1.0f / static_cast<float>(width);
  wait_for_previous();
  const bool live = row < *args.live.count;
  const int64_t at = source_row(args, row, live) * width;
  float* residual = args.residual + at;
  Held<kFull> r;
  r.load(residual, width);
  if (args.partials > 0) {
    Held<kFull> s;
    s.load(args.partial[0] + at, width);
#pragma unroll 1
    for (int partial = 1; partial < args.partials; ++partial) {
      Held<kFull> next;
      next.load(args.partial[partial] + at, width);
      s.each([&](float& value, int p, int i) { value += next.piece[p].x[i]; });
    }
    s.each([&](float& value, int p, int i) { value += bias.piece[p].x[i]; });
    if constexpr (kOut) out.apply(args.out, width, share, sums, s);
    r.each([&](float& value, int p, int i) {
      value = args.carry * value + args.branch * s.piece[p].x[i];
    });
  }
  const auto store_residual = [&] {
#pragma unroll
    for (int p = 0; p < kHeld; ++p) {
      if (live && r.inside(p, width)) store_piece(residual + r.place(p), r.piece[p]);
    }
  };
  if (args.partials > 0 && !args.keep_y && args.take == nullptr) store_residual();
  if (args.in.kind != NormKind::kNone) in.apply(args.in, width, share, sums + 2, r);
  if (args.keep_y) store_residual();
  if (args.y.x == nullptr) return;
#pragma unroll
  for (int p = 0; p < kHeld; ++p) {
    if (live && r.inside(p, width)) {
      store_piece_as(args.y.x, args.y.type, row * args.y.stride + r.place(p), r.piece[p]);
    }
  }
}

// Moments of get(i), i < width.
template <class Get>
__device__ float2 moments(const Norm& norm, int width, float (*sums)[32], Get&& get) {
  const float share = 1.0f / static_cast<float>(width);
  float mean = 0;
  if (norm.kind == NormKind::kLayer) {
    float sum = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x) sum += get(i);
    mean = block_sum(sum, sums[0]) * share;
  }
  float square = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float x = get(i) - mean;
    square += x * x;
  }
  return {mean, inverse_root(block_sum(square, sums[1]), share, norm.eps)};
}

__device__ __forceinline__ float normed(const Norm& norm, float2 moment, float x, int i) {
  x = (x - moment.x) * moment.y * norm.weight[i];
  return norm.shift == nullptr ? x : x + norm.shift[i];
}

// Any width and alignment. A thread reads what it wrote itself; with `take`, which writes nothing,
// it makes the sum again for each pass.
__global__ void __launch_bounds__(kMaxThreads)
    residual_plain(const __grid_constant__ ResidualArgs args) {
  release_next();
  wait_for_previous();
  __shared__ float sums[4][32];
  const int64_t row = blockIdx.x;
  if (row >= *args.live.count) return;
  const int width = args.width;
  const int64_t at = source_row(args, row, true) * width;
  float* residual = args.residual + at;
  const auto branch = [&](int i) {
    float s = args.partial[0][at + i];
    for (int p = 1; p < args.partials; ++p) s += args.partial[p][at + i];
    return args.bias == nullptr ? s : s + args.bias[i];
  };
  const bool adds = args.partials > 0, norms_branch = args.out.kind != NormKind::kNone;
  float2 of_branch{};
  if (adds && norms_branch) of_branch = moments(args.out, width, sums, branch);
  const auto sum = [&](int i) {
    const float s = norms_branch ? normed(args.out, of_branch, branch(i), i) : branch(i);
    return args.carry * residual[i] + args.branch * s;
  };
  const bool again = adds && args.take != nullptr;
  if (adds && !again) {
    for (int i = threadIdx.x; i < width; i += blockDim.x) residual[i] = sum(i);
  }
  if (args.y.x == nullptr && !args.keep_y) return;
  const bool norms = args.in.kind != NormKind::kNone;
  const auto get = [&](int i) { return again ? sum(i) : residual[i]; };
  const float2 moment = norms ? moments(args.in, width, sums + 2, get) : float2{};
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float value = norms ? normed(args.in, moment, get(i), i) : get(i);
    if (args.y.x != nullptr) store_as(args.y.x, args.y.type, row * args.y.stride + i, value);
    if (args.keep_y) residual[i] = value;
  }
}

bool in_fours(const ResidualArgs& args) {
  bool fours = args.width % 4 == 0 && aligned(args.residual, 16) && aligned(args.bias, 16) &&
               aligned(args.y.x, 16) && args.y.stride % 4 == 0;
  for (int p = 0; p < args.partials; ++p) fours = fours && aligned(args.partial[p], 16);
  for (const Norm& norm : {args.out, args.in}) {
    if (norm.kind == NormKind::kNone) continue;
    fours = fours && aligned(norm.weight, 16) && aligned(norm.shift, 16);
  }
  return fours;
}

}  // namespace

void cuda_residual(const ResidualArgs& args, CudaContext& context) {
  const int pieces = args.width / 4;
  const bool out = args.partials > 0 && args.out.kind != NormKind::kNone;
  auto* kernel = residual_plain;
  int threads = args.width;
  if (in_fours(args) && pieces <= kHeld * kMaxThreads) {
    const bool full = pieces % (32 * kHeld) == 0;
    kernel = out    ? residual_held<false, true>
             : full ? residual_held<true, false>
                    : residual_held<false, false>;
    threads = (pieces + kHeld - 1) / kHeld;
  }
  threads = threads < kMaxThreads ? (threads + 31) / 32 * 32 : kMaxThreads;
  int rows = args.live.bound;
  const int blocks = std::max(1, kResident / threads) * context.multiprocessors;
  if (kernel != residual_plain && args.partials == 0 && args.take == nullptr && !args.keep_y &&
      args.in.kind != NormKind::kNone && args.y.x != nullptr && rows > 2 * blocks) {
    kernel = kernel == residual_held<true, false> ? norm_rows<true> : norm_rows<false>;
    rows = blocks;
  }
  launch(context, kernel, rows, threads, 0, args);
}

}  // namespace tensormill
