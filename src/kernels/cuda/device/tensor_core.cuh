#pragma once

// Products of 16 x 16 by 16 x 8 on tensor cores and the registers that they take. In a warp, lane
// 4 * g + t holds of the left factor rows g and g + 8 at columns 2t, 2t + 1, 2t + 8 and 2t + 9; of
// the right one these as rows of column g; of the sum rows g and g + 8 at columns 2t and 2t + 1.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace tensormill {

struct LeftFactor {
  uint32_t x[4];  // (g, 2t ..), (g + 8, 2t ..), (g, 2t + 8 ..), (g + 8, 2t + 8 ..)
};

// sum += left * right
template <class T>
__device__ __forceinline__ void multiply_add(float (&sum)[4], const LeftFactor& left, uint32_t low,
                                             uint32_t high) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left.x[0]), "r"(left.x[1]), "r"(left.x[2]), "r"(left.x[3]), "r"(low), "r"(high));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left.x[0]), "r"(left.x[1]), "r"(left.x[2]), "r"(left.x[3]), "r"(low), "r"(high));
  }
}

template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  uint32_t pair;
  if constexpr (std::is_same_v<T, __half>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  }
  return pair;
}

// Of two pairs the low halves, and the high ones.
__device__ __forceinline__ uint32_t low_halves(uint32_t a, uint32_t b) {
  return __byte_perm(a, b, 0x5410);
}
__device__ __forceinline__ uint32_t high_halves(uint32_t a, uint32_t b) {
  return __byte_perm(a, b, 0x7632);
}

// An 8 x 8 matrix whose row g lies as pairs in lanes 4 * g + t, with rows and columns exchanged.
__device__ __forceinline__ uint32_t transpose(uint32_t pair) {
  uint32_t turned;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(turned) : "r"(pair));
  return turned;
}

// Loads that see what other multiprocessors wrote, and are not put off to where their values are
// needed.
__device__ __forceinline__ int32_t load_now(const int32_t* from) {
  int32_t x;
  asm volatile("ld.relaxed.gpu.b32 %0, [%1];" : "=r"(x) : "l"(from));
  return x;
}

// 16 bytes that are read once.
__device__ __forceinline__ uint4 load_once(const void* from) {
  uint4 x;
  asm volatile("ld.relaxed.gpu.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(from));
  return x;
}

// Zeros where they are not wanted.
__device__ __forceinline__ uint4 load_once(const void* from, bool wanted) {
  uint4 x{0, 0, 0, 0};
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.b32 wanted, %5, 0;\n"
      "@wanted ld.relaxed.gpu.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n}"
      : "+r"(x.x), "+r"(x.y), "+r"(x.z), "+r"(x.w)
      : "l"(from), "r"(static_cast<int>(wanted)));
  return x;
}

}  // namespace tensormill
