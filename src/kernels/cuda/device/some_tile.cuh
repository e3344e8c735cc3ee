#pragma once

// What the kernels of linear_some.cu share: how a product's work is cut, and the end of a tile.
//
// The work is a row of units: a unit is kSomeTile outputs by kSomeChunk inputs, a tile's units
// follow each other. Each block takes a run of units, all of the same length, so that a tile may be
// cut into pieces of several blocks. Those leave their sums in the workspace, and whoever comes
// last adds them up in the order of blocks.

#include "kernels/cuda/device/product_end.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill {

inline constexpr int kSomeChunk = 64;               // inputs of a unit: 128 bytes of a row
inline constexpr int kSomeTile = 64;                // outputs of a unit
inline constexpr int kSomeThreads = kSomeTile * 2;  // that multiply: a warp has 16 outputs

// Floats from row to row where a warp turns 16 rows of 16 sums: writes meet all banks.
inline constexpr int kTurnStride = 20;

struct SomeProduct {
  int32_t outputs, inner, chunks, units;
  const float* bias;
  ProductEnd end;
  Live live;
  float4* sums;      // [blocks, 2, groups, kSomeThreads]: of a block's first piece and its last
  int32_t* arrived;  // [tiles]: pieces whose sums are there; zeros before and after
};

// The first unit of a block; that of gridDim.x is the end.
__device__ __forceinline__ int32_t first_unit(const SomeProduct& product, int32_t block) {
  const int32_t blocks = gridDim.x;
  return block * (product.units / blocks) + min(block, product.units % blocks);
}

__device__ __forceinline__ int32_t block_of_unit(const SomeProduct& product, int32_t unit) {
  const int32_t blocks = gridDim.x;
  const int32_t length = product.units / blocks, longer = product.units % blocks;
  const int32_t in_longer = longer * (length + 1);
  return unit < in_longer ? unit / (length + 1) : longer + (unit - in_longer) / length;
}

// Barriers of the threads that multiply. The second says whether any thread says so.
__device__ __forceinline__ void meet() {
  asm volatile("bar.sync 1, %0;" ::"n"(kSomeThreads) : "memory");
}
__device__ __forceinline__ bool meet_any(bool mine) {
  uint32_t any;
  asm volatile(
      "{\n.reg .pred p, q;\n"
      "setp.ne.u32 p, %1, 0;\n"
      "bar.red.or.pred q, 1, %2, p;\n"
      "selp.u32 %0, 1, 0, q;\n}"
      : "=r"(any)
      : "r"(static_cast<uint32_t>(mine)), "n"(kSomeThreads)
      : "memory");
  return any != 0;
}

__device__ __forceinline__ int32_t arrived_so_far(const int32_t* count) {
  int32_t value;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(count) : "memory");
  return value;
}
__device__ __forceinline__ int32_t arrive(int32_t* count) {
  int32_t before;
  asm volatile("atom.add.acq_rel.gpu.global.s32 %0, [%1], 1;"
               : "=r"(before)
               : "l"(count)
               : "memory");
  return before;
}

// A thread's sums: for each group of 8 rows, outputs m and m + 8 of rows n and n + 1, as (m, n),
// (m, n + 1), (m + 8, n), (m + 8, n + 1). m is the thread's warp * 16 + lane / 4, n is lane % 4
// * 2.
template <int kGroups>
using SomeSums = float[kGroups][4];

// Where this thread's sums of a block's piece of a tile are.
template <int kGroups>
__device__ __forceinline__ float4* sums_of(const SomeProduct& product, int32_t block,
                                           int32_t tile) {
  const int32_t piece = first_unit(product, block) < tile * product.chunks ? 1 : 0;
  return product.sums + (block * int64_t{2} + piece) * kGroups * kSomeThreads + threadIdx.x;
}

// Some loads at a time: more than the registers hold would be slow.
template <int kGroups>
__device__ __forceinline__ void add_sums(SomeSums<kGroups>& sums, const float4* from,
                                         int32_t groups) {
  constexpr int kBatch = kGroups < 8 ? kGroups : kGroups % 8 == 0 ? 8 : 6;
#pragma unroll
  for (int first = 0; first < kGroups; first += kBatch) {
    float4 add[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (first + i < groups) add[i] = __ldcg(from + (first + i) * kSomeThreads);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (first + i >= groups) continue;
      float(&sum)[4] = sums[first + i];
      sum[0] += add[i].x, sum[1] += add[i].y, sum[2] += add[i].z, sum[3] += add[i].w;
    }
  }
}

// Adds the pieces of a tile up, in the order of blocks. False: another block will.
template <int kGroups>
__device__ __forceinline__ bool join_pieces(const SomeProduct& product, SomeSums<kGroups>& sums,
                                            int32_t tile, int32_t groups) {
  const int32_t first = block_of_unit(product, tile * product.chunks);
  const int32_t last = block_of_unit(product, (tile + 1) * product.chunks - 1);
  if (first == last) return true;
  const int32_t block = blockIdx.x;
  int32_t* arrived = product.arrived + tile;
  // The block of the first piece ends with it, so it mostly finds the others' sums there.
  const bool leads =
      block == first && meet_any(threadIdx.x == 0 && arrived_so_far(arrived) == last - first);
  if (!leads) {
    float4* mine = sums_of<kGroups>(product, block, tile);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      if (g >= groups) continue;
      __stcg(mine + g * kSomeThreads, make_float4(sums[g][0], sums[g][1], sums[g][2], sums[g][3]));
    }
    meet();
    if (!meet_any(threadIdx.x == 0 && arrive(arrived) == last - first)) return false;
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[g][i] = 0.0f;
    }
    add_sums<kGroups>(sums, sums_of<kGroups>(product, first, tile), groups);
  }
  for (int32_t other = first + 1; other <= last; ++other) {  // the first pieces of their blocks
    const int64_t at = other * int64_t{2} * kGroups * kSomeThreads + threadIdx.x;
    add_sums<kGroups>(sums, product.sums + at, groups);
  }
  if (threadIdx.x == 0) *arrived = 0;
  return true;
}

// After a tile's last unit in a block. Leaves the sums undefined. `turn` is the warp's 16 *
// kTurnStride floats of shared memory, in which sums are turned so that a lane has neighbouring
// outputs.
template <int kGroups>
__device__ __forceinline__ void finish_tile(const SomeProduct& product, SomeSums<kGroups>& sums,
                                            int32_t tile, int32_t rows, float* turn) {
  if (!join_pieces<kGroups>(product, sums, tile, (rows + 7) / 8)) return;
  const int32_t lane = threadIdx.x % 32;
  const int32_t output = tile * kSomeTile + threadIdx.x / 32 * 16 + lane % 2 * 8;
  float bias[8] = {};
  if (product.bias != nullptr) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (output + i < product.outputs) bias[i] = product.bias[output + i];
    }
  }
  // 16 rows at a time, always the first sums, then the others move up: unrolled this would be long
  // code, and code that runs once is as slow as its way from memory.
#pragma unroll 1
  for (int32_t first = 0; first < rows; first += 16) {
    float* to = turn + lane % 4 * 2 * kTurnStride + lane / 4;
#pragma unroll
    for (int g = 0; g < 2; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) to[(g * 8 + i % 2) * kTurnStride + i / 2 * 8] = sums[g][i];
    }
    __syncwarp();
    float x[8];
    const float4* from = reinterpret_cast<float4*>(turn + lane / 2 * kTurnStride + lane % 2 * 8);
    *reinterpret_cast<float4*>(x) = from[0];
    *reinterpret_cast<float4*>(x + 4) = from[1];
    __syncwarp();
    if (first + lane / 2 < rows && output < product.outputs) {
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] += bias[i];
      end_row(product.end, x, first + lane / 2, output);
    }
#pragma unroll
    for (int g = 2; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[g - 2][i] = sums[g][i];
    }
  }
}

}  // namespace tensormill
