#pragma once

// The kernel of linear_some.cu for any GPU from sm_80 on: cp.async and mma.sync.

#include "kernels/cuda/device/some_tile.cuh"

namespace tensormill {

// A stage holds a unit's weights and then its inputs, rows of 128 bytes whose pieces of 16 bytes
// are turned by the row's number so that eight rows' pieces lie in all banks.
template <int kRows>
struct SomeStages {
  static constexpr int kCount = kRows <= 64 ? 4 : 3;
  static constexpr int kInputAt = kSomeTile * kSomeChunk * 2;
  static constexpr int kBytes = kInputAt + kRows * kSomeChunk * 2;
  static constexpr int kShared = kCount * kBytes;
};

__device__ __forceinline__ uint32_t piece_at(int row, int piece) {
  return row * 128 + ((piece ^ (row & 7)) << 4);
}

// Rows [row, row + kCopied) of a matrix, the unit's chunk of each; zeros beyond the matrix.
template <int kCopied>
__device__ __forceinline__ void copy_rows(uint32_t to, const void* matrix, int64_t stride,
                                          int32_t row, int32_t rows, int32_t column,
                                          int32_t columns) {
  constexpr int kPieces = kCopied * (kSomeChunk / 8);
#pragma unroll
  for (int i = 0; i < (kPieces + kSomeThreads - 1) / kSomeThreads; ++i) {
    const int at = i * kSomeThreads + threadIdx.x;
    const int r = at / 8, piece = at % 8;
    if (kPieces % kSomeThreads != 0 && at >= kPieces) break;
    const bool there = row + r < rows && column + piece * 8 < columns;
    const int64_t from = there ? (row + r) * stride + column + piece * 8 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to + piece_at(r, piece)),
                 "l"(static_cast<const uint16_t*>(matrix) + from), "r"(there ? 16 : 0)
                 : "memory");
  }
}

__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

template <class T>
__device__ __forceinline__ void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// sums += 16 weights' rows of this warp times all inputs, of one unit.
template <class T, int kGroups>
__device__ __forceinline__ void multiply_stage(SomeSums<kGroups>& sums, uint32_t weights,
                                               uint32_t inputs) {
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane % 16;
#pragma unroll
  for (int k = 0; k < kSomeChunk / 16; ++k) {
    uint32_t a[4];
    load_matrices(a, weights + piece_at(row, 2 * k + lane / 16));
#pragma unroll
    for (int g = 0; g < kGroups; g += 2) {
      uint32_t b[4];
      load_matrices(b, inputs + piece_at(g * 8 + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
      multiply_add<T>(sums[g], a, b[0], b[1]);
      multiply_add<T>(sums[g + 1], a, b[2], b[3]);
    }
  }
}

template <class T, int kRows>
__global__ void __launch_bounds__(kSomeThreads)
    some_mma_kernel(const void* weight, Rows in, SomeProduct product) {
  release_next();
  using Stages = SomeStages<kRows>;
  extern __shared__ __align__(1024) uint8_t shared[];
  const uint32_t stages = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int32_t begin = first_unit(product, blockIdx.x);
  const int32_t end = first_unit(product, blockIdx.x + 1);
  const int32_t warp = threadIdx.x / 32;
  const auto copy_weight = [&](int32_t unit) {
    const int32_t tile = unit / product.chunks, chunk = unit - tile * product.chunks;
    copy_rows<kSomeTile>(stages + (unit - begin) % Stages::kCount * Stages::kBytes, weight,
                         product.inner, tile * kSomeTile, product.outputs, chunk * kSomeChunk,
                         product.inner);
  };
  const auto copy_input = [&](int32_t unit) {
    copy_rows<kRows>(stages + (unit - begin) % Stages::kCount * Stages::kBytes + Stages::kInputAt,
                     in.x, in.stride, 0, product.live.bound, unit % product.chunks * kSomeChunk,
                     product.inner);
  };
  constexpr int kAhead = Stages::kCount - 1;
  for (int32_t i = 0; i < kAhead && begin + i < end; ++i) copy_weight(begin + i);
  wait_for_previous();
  for (int32_t i = 0; i < kAhead; ++i) {
    if (begin + i < end) copy_input(begin + i);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  const int32_t rows = *product.live.count;
  constexpr int kGroups = kRows / 8;
  SomeSums<kGroups> sums{};
  int32_t tile = begin / product.chunks;
  int32_t tile_end = min(end, (tile + 1) * product.chunks);
  for (int32_t unit = begin; unit < end; ++unit) {
    asm volatile("cp.async.wait_group %0;" ::"n"(kAhead - 1) : "memory");
    __syncthreads();
    if (unit + kAhead < end) {
      copy_weight(unit + kAhead);
      copy_input(unit + kAhead);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
    const uint32_t stage = stages + (unit - begin) % Stages::kCount * Stages::kBytes;
    multiply_stage<T, kGroups>(sums, stage, stage + Stages::kInputAt);
    if (unit + 1 == tile_end) {
      __syncwarp();  // only this warp reads these weights: their place serves to turn the sums
      finish_tile<kGroups>(product, sums, tile, rows,
                           reinterpret_cast<float*>(shared + (stage - stages) + warp * 2048));
      ++tile;
      tile_end = min(end, (tile + 1) * product.chunks);
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[g][i] = 0.0f;
      }
    }
  }
}

}  // namespace tensormill
