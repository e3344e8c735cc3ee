#pragma once

// What kernels that go over rows share: pieces of values, and sums over warps and blocks.

#include "kernels/cuda/device/convert.cuh"

namespace tensormill {

// kCount values in registers, moved as one access where `from` or `to` is aligned to its size.
template <int kCount>
struct Piece {
  float x[kCount];
};

template <int kCount>
__device__ __forceinline__ Piece<kCount> load_piece(const float* from) {
  Piece<kCount> piece;
  if constexpr (kCount == 4) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    piece.x[0] = four.x, piece.x[1] = four.y, piece.x[2] = four.z, piece.x[3] = four.w;
  } else {
    for (int i = 0; i < kCount; ++i) piece.x[i] = from[i];
  }
  return piece;
}

template <int kCount>
__device__ __forceinline__ void store_piece(float* to, const Piece<kCount>& piece) {
  if constexpr (kCount == 4) {
    *reinterpret_cast<float4*>(to) = {piece.x[0], piece.x[1], piece.x[2], piece.x[3]};
  } else {
    for (int i = 0; i < kCount; ++i) to[i] = piece.x[i];
  }
}

template <int kCount>
__device__ __forceinline__ void store_piece_as(void* to, DType type, int64_t at,
                                               const Piece<kCount>& piece) {
  if constexpr (kCount == 4) {
    if (type == DType::kF32) {
      store_piece(static_cast<float*>(to) + at, piece);
      return;
    }
    uint2 bits;
    if (type == DType::kF16) {
      const __half2 low = __floats2half2_rn(piece.x[0], piece.x[1]);
      const __half2 high = __floats2half2_rn(piece.x[2], piece.x[3]);
      bits = {reinterpret_cast<const uint32_t&>(low), reinterpret_cast<const uint32_t&>(high)};
    } else {
      const __nv_bfloat162 low = __floats2bfloat162_rn(piece.x[0], piece.x[1]);
      const __nv_bfloat162 high = __floats2bfloat162_rn(piece.x[2], piece.x[3]);
      bits = {reinterpret_cast<const uint32_t&>(low), reinterpret_cast<const uint32_t&>(high)};
    }
    *reinterpret_cast<uint2*>(static_cast<uint16_t*>(to) + at) = bits;
  } else {
    for (int i = 0; i < kCount; ++i) store_as(to, type, at + i, piece.x[i]);
  }
}

// Values of `type` as floats.
template <int kCount>
__device__ __forceinline__ Piece<kCount> load_piece_as(const void* from, DType type, int64_t at) {
  if constexpr (kCount == 4) {
    if (type == DType::kF32) return load_piece<4>(static_cast<const float*>(from) + at);
    const uint2 bits = *reinterpret_cast<const uint2*>(static_cast<const uint16_t*>(from) + at);
    float2 low, high;
    if (type == DType::kF16) {
      low = __half22float2(reinterpret_cast<const __half2&>(bits.x));
      high = __half22float2(reinterpret_cast<const __half2&>(bits.y));
    } else {
      low = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(bits.x));
      high = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(bits.y));
    }
    Piece<kCount> piece;
    piece.x[0] = low.x, piece.x[1] = low.y, piece.x[2] = high.x, piece.x[3] = high.y;
    return piece;
  } else {
    Piece<kCount> piece;
    for (int i = 0; i < kCount; ++i) piece.x[i] = load_as(from, type, at + i);
    return piece;
  }
}

// Every lane gets the same bits.
__device__ __forceinline__ float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffff, x, step);
  return x;
}

// The sum over a block of whole warps, at most 32. `sums` is [32] of shared memory that no other
// sum of the kernel uses, so that one barrier is enough.
__device__ __forceinline__ float block_sum(float x, float* sums) {
  x = warp_sum(x);
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  if (lane == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  return warp_sum(lane < warps ? sums[lane] : 0.0f);
}

// Null is.
inline bool aligned(const void* pointer, size_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

}  // namespace tensormill
