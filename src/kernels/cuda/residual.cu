// The residual stream: adding a branch and norming for the next readers. A block works on one row.
// How a row is spread over threads depends on its width alone, so a row's bits don't depend on how
// many there are.

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kHeld = 2;  // pieces of a row that a thread holds

__device__ __forceinline__ float inverse_root(float square, int width, float eps) {
  return 1.0f / sqrtf(square / static_cast<float>(width) + eps);
}

// The pieces of a row that one thread holds: those at threadIdx.x, threadIdx.x + blockDim.x, ...
template <int kPieces>
struct Held {
  Piece<4> piece[kPieces];

  __device__ __forceinline__ static int place(int p) { return (threadIdx.x + p * blockDim.x) * 4; }
  // Zeros beyond the row, and for null.
  __device__ __forceinline__ void load(const float* from, int width) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      piece[p] = {};
      if (from != nullptr && place(p) < width) piece[p] = load_piece<4>(from + place(p));
    }
  }
  template <class F>
  __device__ __forceinline__ void each(F&& f) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
#pragma unroll
      for (int i = 0; i < 4; ++i) f(piece[p].x[i], p, i);
    }
  }
};

template <int kPieces>
struct HeldNorm {
  Held<kPieces> weight, shift;

  __device__ __forceinline__ void load(const Norm& norm, int width) {
    const bool wanted = norm.kind != NormKind::kNone;
    weight.load(wanted ? norm.weight : nullptr, width);
    shift.load(wanted ? norm.shift : nullptr, width);
  }

  // x becomes its norm. sums: [2][32] of shared memory.
  __device__ __forceinline__ void apply(const Norm& norm, int width, float (*sums)[32],
                                        Held<kPieces>& x) const {
    if (norm.kind == NormKind::kLayer) {
      float sum = 0;
      x.each([&](float& value, int, int) { sum += value; });
      const float mean = block_sum(sum, sums[0]) / static_cast<float>(width);
      x.each([&](float& value, int p, int) { value = x.place(p) < width ? value - mean : 0; });
    }
    float square = 0;
    x.each([&](float& value, int, int) { square += value * value; });
    const float inverse = inverse_root(block_sum(square, sums[1]), width, norm.eps);
    x.each([&](float& value, int p, int i) {
      value = value * inverse * weight.piece[p].x[i] + shift.piece[p].x[i];
    });
  }
};

// All loads are issued before any result is needed; rows that aren't live are computed in vain, so
// that no load waits for the count. kOut: with the norm `out`.
template <int kPieces, bool kOut>
__global__ void __launch_bounds__(kMaxThreads)
    residual_held(const __grid_constant__ ResidualArgs args) {
  release_next();
  __shared__ float sums[4][32];
  const int width = args.width;
  const int64_t row = blockIdx.x;
  Held<kPieces> bias;
  HeldNorm<kPieces> out, in;
  bias.load(args.partials > 0 ? args.bias : nullptr, width);
  if constexpr (kOut) out.load(args.out, width);
  in.load(args.in, width);
  wait_for_previous();
  const bool live = row < *args.live.count;
  float* residual = args.residual + row * width;
  Held<kPieces> r;
  r.load(residual, width);
  if (args.partials > 0) {
    Held<kPieces> s;
    s.load(args.partial[0] + row * width, width);
    for (int partial = 1; partial < args.partials; ++partial) {
      Held<kPieces> next;
      next.load(args.partial[partial] + row * width, width);
      s.each([&](float& value, int p, int i) { value += next.piece[p].x[i]; });
    }
    s.each([&](float& value, int p, int i) { value += bias.piece[p].x[i]; });
    if constexpr (kOut) out.apply(args.out, width, sums, s);
    r.each([&](float& value, int p, int i) {
      value = args.carry * value + args.branch * s.piece[p].x[i];
    });
  }
  const auto store_residual = [&] {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      if (live && r.place(p) < width) store_piece(residual + r.place(p), r.piece[p]);
    }
  };
  if (args.partials > 0 && !args.keep_y) store_residual();
  if (args.in.kind != NormKind::kNone) in.apply(args.in, width, sums + 2, r);
  if (args.keep_y) store_residual();
  if (args.y.x == nullptr) return;
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    if (live && r.place(p) < width) {
      store_piece_as(args.y.x, args.y.type, row * args.y.stride + r.place(p), r.piece[p]);
    }
  }
}

// Moments of get(i), i < width.
template <class Get>
__device__ float2 moments(const Norm& norm, int width, float (*sums)[32], Get&& get) {
  float mean = 0;
  if (norm.kind == NormKind::kLayer) {
    float sum = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x) sum += get(i);
    mean = block_sum(sum, sums[0]) / static_cast<float>(width);
  }
  float square = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float x = get(i) - mean;
    square += x * x;
  }
  return {mean, inverse_root(block_sum(square, sums[1]), width, norm.eps)};
}

__device__ __forceinline__ float normed(const Norm& norm, float2 moment, float x, int i) {
  x = (x - moment.x) * moment.y * norm.weight[i];
  return norm.shift == nullptr ? x : x + norm.shift[i];
}

// Any width and alignment. A thread reads what it wrote itself.
__global__ void __launch_bounds__(kMaxThreads)
    residual_plain(const __grid_constant__ ResidualArgs args) {
  release_next();
  wait_for_previous();
  __shared__ float sums[4][32];
  const int64_t row = blockIdx.x;
  if (row >= *args.live.count) return;
  const int width = args.width;
  float* residual = args.residual + row * width;
  if (args.partials > 0) {
    const auto branch = [&](int i) {
      float s = args.partial[0][row * width + i];
      for (int p = 1; p < args.partials; ++p) s += args.partial[p][row * width + i];
      return args.bias == nullptr ? s : s + args.bias[i];
    };
    const bool norms = args.out.kind != NormKind::kNone;
    const float2 moment = norms ? moments(args.out, width, sums, branch) : float2{};
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
      const float s = norms ? normed(args.out, moment, branch(i), i) : branch(i);
      residual[i] = args.carry * residual[i] + args.branch * s;
    }
  }
  if (args.y.x == nullptr && !args.keep_y) return;
  const bool norms = args.in.kind != NormKind::kNone;
  const auto get = [&](int i) { return residual[i]; };
  const float2 moment = norms ? moments(args.in, width, sums + 2, get) : float2{};
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float value = norms ? normed(args.in, moment, residual[i], i) : residual[i];
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
    kernel = out ? residual_held<kHeld, true> : residual_held<kHeld, false>;
    threads = (pieces + kHeld - 1) / kHeld;
  }
  threads = threads < kMaxThreads ? (threads + 31) / 32 * 32 : kMaxThreads;
  launch(context, kernel, args.live.bound, threads, 0, args);
}

}  // namespace tensormill
