// Chooses tokens. Rows that want nothing but the most likely one are done here, by many blocks a
// row; the others in sample_draw.cu.

#include "kernels/cuda/sample.h"

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/device/sample_math.cuh"
#include "kernels/cuda/device/sample_row.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kThreads = 256, kOwn = 8;
constexpr int kChunk = kThreads * kOwn;  // logits of one block

// What a part of a row comes to.
struct Part {
  uint32_t peak;  // ordered()
  int32_t index;  // first place of the peak
  float sum;      // of exp(logit - peak)
  int32_t bad;    // a NaN or +infinity is among the logits
};

struct Best {
  uint32_t peak;
  int32_t index, bad;
};

// The best of the block, the first of equal ones. memory: [32], not used before.
__device__ __forceinline__ Best block_best(Best own, Best* memory) {
  const auto of_warp = [](const Best& x) {
    const uint32_t peak = __reduce_max_sync(0xffffffff, x.peak);
    const int32_t index = __reduce_min_sync(0xffffffff, x.peak == peak ? x.index : INT32_MAX);
    return Best{peak, index, __any_sync(0xffffffff, x.bad)};
  };
  own = of_warp(own);
  const int lane = threadIdx.x % 32;
  if (lane == 0) memory[threadIdx.x / 32] = own;
  __syncthreads();
  return of_warp(lane < kThreads / 32 ? memory[lane] : Best{0, INT32_MAX, 0});
}

__device__ __forceinline__ void take(Best& best, const Best& other) {
  if (other.peak > best.peak || (other.peak == best.peak && other.index < best.index)) {
    best.peak = other.peak;
    best.index = other.index;
  }
  best.bad |= other.bad;
}

// The row's result from those of its parts.
__device__ void finish(const SampleArgs& args, int64_t row, const Part* parts, int count) {
  __shared__ Best bests[32];
  __shared__ float sums[32];
  Best best{0, INT32_MAX, 0};
  for (int p = threadIdx.x; p < count; p += kThreads) {
    const int4 bits = __ldcg(reinterpret_cast<const int4*>(parts + p));
    take(best, {static_cast<uint32_t>(bits.x), bits.y, bits.w});
  }
  best = block_best(best, bests);
  const float peak = from_ordered(best.peak);
  float sum = 0;
  for (int p = threadIdx.x; p < count; p += kThreads) {
    const int4 bits = __ldcg(reinterpret_cast<const int4*>(parts + p));
    sum += __int_as_float(bits.z) * exp_negative(from_ordered(bits.x) - peak);
  }
  sum = block_sum(sum, sums);
  if (threadIdx.x != 0) return;
  const int32_t status = best.bad ? 1 : isinf(peak) ? 2 : 0;
  const float log_prob = status == 0 ? -static_cast<float>(log(static_cast<double>(sum))) : 0;
  write_choice(args, row, status == 0 ? best.index : -1, status, log_prob);
  args.results[row].top = 0;
}

// A block works on one chunk of one row; the last of a row to be done puts the parts together.
template <int kCount>
__global__ void __launch_bounds__(kThreads)
    find_peaks(const __grid_constant__ SampleArgs args, int32_t* counters) {
  release_next();
  wait_for_previous();
  __shared__ Best bests[32];
  __shared__ float sums[32];
  __shared__ int32_t done;
  const int64_t row = blockIdx.y;
  const int begin = blockIdx.x * kChunk;
  const float* logits = args.logits + row * args.vocabulary + begin;
  const int count = min(kChunk, args.vocabulary - begin);
  const float nothing = __int_as_float(0xff800000);
  const auto place = [&](int p) { return (p * kThreads + static_cast<int>(threadIdx.x)) * kCount; };
  Piece<kCount> x[kOwn / kCount];
#pragma unroll
  for (int p = 0; p < kOwn / kCount; ++p) {
    for (float& value : x[p].x) value = nothing;
    if (place(p) < count) x[p] = load_piece<kCount>(logits + place(p));
  }
  if (row >= *args.live.count || !is_plain(args.rows[row])) return;
  Best best{0, INT32_MAX, 0};
#pragma unroll
  for (int p = 0; p < kOwn / kCount; ++p) {
    for (int i = 0; i < kCount; ++i) {
      const float value = x[p].x[i];
      take(best, {ordered(value), begin + place(p) + i, is_bad(value)});
    }
  }
  best = block_best(best, bests);
  const float peak = from_ordered(best.peak);
  float sum = 0;
#pragma unroll
  for (int p = 0; p < kOwn / kCount; ++p) {
    for (const float value : x[p].x) sum += exp_negative(value - peak);
  }
  sum = isinf(peak) ? 0 : block_sum(sum, sums);
  Part* parts = static_cast<Part*>(args.scratch) + row * gridDim.x;
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = {best.peak, best.index, sum, best.bad};
    __threadfence();
    done = atomicAdd(counters + row, 1);
  }
  __syncthreads();
  if (done != static_cast<int32_t>(gridDim.x) - 1) return;
  __threadfence();
  finish(args, row, parts, gridDim.x);
  if (threadIdx.x == 0) counters[row] = 0;
}

int chunks_of(int32_t vocabulary) {
  return (vocabulary + kChunk - 1) / kChunk;
}

size_t parts_bytes(int32_t rows, int32_t vocabulary) {
  return sizeof(Part) * static_cast<size_t>(rows) * static_cast<size_t>(chunks_of(vocabulary));
}

}  // namespace

size_t cuda_sample_scratch(int32_t rows, int32_t vocabulary) {
  return parts_bytes(rows, vocabulary) + sizeof(float) * sample_spill(rows, vocabulary);
}

void cuda_sample(const SampleArgs& args, CudaContext& context) {
  const bool fours = args.vocabulary % 4 == 0 && aligned(args.logits, 16);
  const dim3 grid(chunks_of(args.vocabulary), args.live.bound);
  launch(context, fours ? find_peaks<4> : find_peaks<1>, grid, kThreads, 0, args, context.counters);
  auto* spill =
      static_cast<std::byte*>(args.scratch) + parts_bytes(args.live.bound, args.vocabulary);
  cuda_sample_draw(args, reinterpret_cast<float*>(spill), context);
}

}  // namespace tensormill
