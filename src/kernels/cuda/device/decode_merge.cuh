#pragma once

// How the results of warps and blocks for a single query become one.

#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/decode_work.cuh"

namespace tensormill::decode {

// Four elements of a head, not yet divided by the sum, and the head's maximum and sum: of a warp, a
// block or several.
struct Part {
  float4 value;
  float2 stat;
};

// Merges parts in order; load(i) is part i. kTogether of them are loaded at once.
template <int kTogether, class Load>
__device__ __forceinline__ Part merge_parts(int count, Load&& load) {
  Part all{{0, 0, 0, 0}, {-INFINITY, 0}};
  for (int begin = 0; begin < count; begin += kTogether) {
    Part part[kTogether];
    float top = all.stat.x;
#pragma unroll
    for (int i = 0; i < kTogether; ++i) part[i] = load(min(begin + i, count - 1));
#pragma unroll
    for (int i = 0; i < kTogether; ++i) top = fmaxf(top, part[i].stat.x);
    const float base = top == -INFINITY ? 0.0f : top, keep = __expf(all.stat.x - base);
    float4& sum = all.value;
    sum = {sum.x * keep, sum.y * keep, sum.z * keep, sum.w * keep};
    all.stat = {top, all.stat.y * keep};
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const float scale = begin + i < count ? __expf(part[i].stat.x - base) : 0.0f;
      const float4& x = part[i].value;
      sum = {fmaf(x.x, scale, sum.x), fmaf(x.y, scale, sum.y), fmaf(x.z, scale, sum.z),
             fmaf(x.w, scale, sum.w)};
      all.stat.y = fmaf(part[i].stat.y, scale, all.stat.y);
    }
  }
  return all;
}

// A block's result lies as values [columns] of four, then a maximum and sum for each.
__device__ __forceinline__ Part load_part(const float* from, int columns, int i) {
  return {reinterpret_cast<const float4*>(from)[i],
          reinterpret_cast<const float2*>(from + 4 * columns)[i]};
}
__device__ __forceinline__ void store_part(float* to, int columns, int i, const Part& part) {
  reinterpret_cast<float4*>(to)[i] = part.value;
  reinterpret_cast<float2*>(to + 4 * columns)[i] = part.stat;
}

__device__ __forceinline__ int warp_floats(const Work& work, int value_dim) {
  return work.heads * value_dim + 2 * kHeads;
}

// Leaves a warp's result in its place of shared memory: values [heads, value_dim], then maximum and
// sum of each head.
template <class S>
__device__ __forceinline__ void leave(const AttentionArgs& args, const Work& work,
                                      const Result<S>& result, float* parts) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int value_dim = args.value_dim;
  float* part = parts + static_cast<int>(threadIdx.x) / 32 * warp_floats(work, value_dim);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float sum = result.sum[h];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    const int head = 2 * t + h;
    if (head >= work.heads) continue;
    if (g == 0) {
      reinterpret_cast<float2*>(part + work.heads * value_dim)[head] = {result.maximum[h], sum};
    }
#pragma unroll
    for (int i = 0; i < S::value_pieces * 4; i += 2) {
      const int d = i / 4 * 64 + 8 * g + i % 4 * 2;
      if (d >= value_dim) continue;
      const float(*x)[4] = &result.value[i];
      *reinterpret_cast<float4*>(part + head * value_dim + d) = {x[0][h], x[0][h + 2], x[1][h],
                                                                 x[1][h + 2]};
    }
  }
}

// Whether this block is the last of its sequence and heads to come here.
__device__ __forceinline__ bool arrive_last(int32_t* counter, int shares) {
  __shared__ int32_t arrived;
  __syncthreads();
  if (threadIdx.x == 0) {
    int32_t before;
    asm volatile("atom.add.acq_rel.gpu.global.s32 %0, [%1], 1;"
                 : "=r"(before)
                 : "l"(counter)
                 : "memory");
    if (before == shares - 1) *counter = 0;
    arrived = before;
  }
  __syncthreads();
  return arrived == shares - 1;
}

__device__ __forceinline__ void write(const AttentionArgs& args, const Work& work, int column,
                                      const Part& part) {
  const int64_t at =
      work.row * args.out.stride + static_cast<int64_t>(work.head) * args.value_dim + 4 * column;
  const float scale = part.stat.y > 0 ? 1.0f / part.stat.y : 0.0f;
  const float x[4] = {part.value.x, part.value.y, part.value.z, part.value.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) store_as(args.out.x, args.out.type, at + i, x[i] * scale);
}

// Adds up the warps' results, then the blocks'.
__device__ __forceinline__ void merge(const DecodeArgs& decode, const Work& work,
                                      const float* parts) {
  const AttentionArgs& args = decode.attention;
  const int columns = work.heads * args.value_dim / 4, floats = warp_floats(work, args.value_dim);
  const int item = blockIdx.z * gridDim.y + blockIdx.y;
  float* scratch = decode.scratch + static_cast<int64_t>(item) * gridDim.x * decode.part;
  const int warps = min(static_cast<int>(blockDim.x) / 32, work.end - work.begin);
  const bool lone = work.tiles.count <= work.share;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    const int head = 4 * i / args.value_dim;
    const Part part = merge_parts<4>(warps, [&](int w) -> Part {
      const float* from = parts + w * floats;
      return {reinterpret_cast<const float4*>(from)[i],
              reinterpret_cast<const float2*>(from + 4 * columns)[head]};
    });
    if (lone) {
      write(args, work, i, part);
    } else {
      store_part(scratch + blockIdx.x * decode.part, columns, i, part);
    }
  }
  if (lone) return;
  const int shares = (work.tiles.count + work.share - 1) / work.share;
  if (!arrive_last(decode.counters + item, shares)) return;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    write(args, work, i, merge_parts<16>(shares, [&](int s) {
            return load_part(scratch + s * decode.part, columns, i);
          }));
  }
}

}  // namespace tensormill::decode
