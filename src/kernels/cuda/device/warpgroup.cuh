#pragma once

// Products of a warpgroup (sm_90a): 64 rows of a by 16, 32 or 64 columns of b, 16 deep, both in
// shared memory with rows of 128 bytes along the depth in the 128-byte swizzle, sums in float.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace tensormill {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Where a matrix lies: groups of 8 rows are 1024 bytes apart. 32 bytes on are the next 16 columns.
__device__ __forceinline__ uint64_t matrix_at(uint32_t address) {
  return uint64_t{1} << 62 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 16 |
         (address & 0x3ffffu) >> 4;
}

__device__ __forceinline__ void warpgroup_begin() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void warpgroup_end() {
  asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
}

// sums[kAt ..] = a b, plus the sums where `add` is not 0: 16 columns.
template <class T, int kAt, int kGroups>
__device__ __forceinline__ void multiply_16(float (&sums)[kGroups][4], uint64_t a, uint64_t b,
                                            uint32_t add) {
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.u32 p, %10, "
        "0;\nwgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7"
        "}, %8, %9, p, 1, 1, 0, 0;\n}"
        : "+f"(sums[kAt + 0][0]), "+f"(sums[kAt + 0][1]), "+f"(sums[kAt + 0][2]),
          "+f"(sums[kAt + 0][3]), "+f"(sums[kAt + 1][0]), "+f"(sums[kAt + 1][1]),
          "+f"(sums[kAt + 1][2]), "+f"(sums[kAt + 1][3])
        : "l"(a), "l"(b), "r"(add));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.u32 p, %10, "
        "0;\nwgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7"
        "}, %8, %9, p, 1, 1, 0, 0;\n}"
        : "+f"(sums[kAt + 0][0]), "+f"(sums[kAt + 0][1]), "+f"(sums[kAt + 0][2]),
          "+f"(sums[kAt + 0][3]), "+f"(sums[kAt + 1][0]), "+f"(sums[kAt + 1][1]),
          "+f"(sums[kAt + 1][2]), "+f"(sums[kAt + 1][3])
        : "l"(a), "l"(b), "r"(add));
  }
}

// sums[kAt ..] = a b, plus the sums where `add` is not 0: 32 columns.
template <class T, int kAt, int kGroups>
__device__ __forceinline__ void multiply_32(float (&sums)[kGroups][4], uint64_t a, uint64_t b,
                                            uint32_t add) {
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.u32 p, %18, "
        "0;\nwgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
        "}, %16, %17, p, 1, 1, 0, 0;\n}"
        : "+f"(sums[kAt + 0][0]), "+f"(sums[kAt + 0][1]), "+f"(sums[kAt + 0][2]),
          "+f"(sums[kAt + 0][3]), "+f"(sums[kAt + 1][0]), "+f"(sums[kAt + 1][1]),
          "+f"(sums[kAt + 1][2]), "+f"(sums[kAt + 1][3]), "+f"(sums[kAt + 2][0]),
          "+f"(sums[kAt + 2][1]), "+f"(sums[kAt + 2][2]), "+f"(sums[kAt + 2][3]),
          "+f"(sums[kAt + 3][0]), "+f"(sums[kAt + 3][1]), "+f"(sums[kAt + 3][2]),
          "+f"(sums[kAt + 3][3])
        : "l"(a), "l"(b), "r"(add));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.u32 p, %18, "
        "0;\nwgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
        "}, %16, %17, p, 1, 1, 0, 0;\n}"
        : "+f"(sums[kAt + 0][0]), "+f"(sums[kAt + 0][1]), "+f"(sums[kAt + 0][2]),
          "+f"(sums[kAt + 0][3]), "+f"(sums[kAt + 1][0]), "+f"(sums[kAt + 1][1]),
          "+f"(sums[kAt + 1][2]), "+f"(sums[kAt + 1][3]), "+f"(sums[kAt + 2][0]),
          "+f"(sums[kAt + 2][1]), "+f"(sums[kAt + 2][2]), "+f"(sums[kAt + 2][3]),
          "+f"(sums[kAt + 3][0]), "+f"(sums[kAt + 3][1]), "+f"(sums[kAt + 3][2]),
          "+f"(sums[kAt + 3][3])
        : "l"(a), "l"(b), "r"(add));
  }
}

// sums[kAt ..] = a b, plus the sums where `add` is not 0: 64 columns.
template <class T, int kAt, int kGroups>
__device__ __forceinline__ void multiply_64(float (&sums)[kGroups][4], uint64_t a, uint64_t b,
                                            uint32_t add) {
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.u32 p, %34, "
        "0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "
        "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, %32, %33, p, 1, 1, 0, 0;\n}"
        : "+f"(sums[kAt + 0][0]), "+f"(sums[kAt + 0][1]), "+f"(sums[kAt + 0][2]),
          "+f"(sums[kAt + 0][3]), "+f"(sums[kAt + 1][0]), "+f"(sums[kAt + 1][1]),
          "+f"(sums[kAt + 1][2]), "+f"(sums[kAt + 1][3]), "+f"(sums[kAt + 2][0]),
          "+f"(sums[kAt + 2][1]), "+f"(sums[kAt + 2][2]), "+f"(sums[kAt + 2][3]),
          "+f"(sums[kAt + 3][0]), "+f"(sums[kAt + 3][1]), "+f"(sums[kAt + 3][2]),
          "+f"(sums[kAt + 3][3]), "+f"(sums[kAt + 4][0]), "+f"(sums[kAt + 4][1]),
          "+f"(sums[kAt + 4][2]), "+f"(sums[kAt + 4][3]), "+f"(sums[kAt + 5][0]),
          "+f"(sums[kAt + 5][1]), "+f"(sums[kAt + 5][2]), "+f"(sums[kAt + 5][3]),
          "+f"(sums[kAt + 6][0]), "+f"(sums[kAt + 6][1]), "+f"(sums[kAt + 6][2]),
          "+f"(sums[kAt + 6][3]), "+f"(sums[kAt + 7][0]), "+f"(sums[kAt + 7][1]),
          "+f"(sums[kAt + 7][2]), "+f"(sums[kAt + 7][3])
        : "l"(a), "l"(b), "r"(add));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.u32 p, %34, "
        "0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "
        "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, %32, %33, p, 1, 1, 0, 0;\n}"
        : "+f"(sums[kAt + 0][0]), "+f"(sums[kAt + 0][1]), "+f"(sums[kAt + 0][2]),
          "+f"(sums[kAt + 0][3]), "+f"(sums[kAt + 1][0]), "+f"(sums[kAt + 1][1]),
          "+f"(sums[kAt + 1][2]), "+f"(sums[kAt + 1][3]), "+f"(sums[kAt + 2][0]),
          "+f"(sums[kAt + 2][1]), "+f"(sums[kAt + 2][2]), "+f"(sums[kAt + 2][3]),
          "+f"(sums[kAt + 3][0]), "+f"(sums[kAt + 3][1]), "+f"(sums[kAt + 3][2]),
          "+f"(sums[kAt + 3][3]), "+f"(sums[kAt + 4][0]), "+f"(sums[kAt + 4][1]),
          "+f"(sums[kAt + 4][2]), "+f"(sums[kAt + 4][3]), "+f"(sums[kAt + 5][0]),
          "+f"(sums[kAt + 5][1]), "+f"(sums[kAt + 5][2]), "+f"(sums[kAt + 5][3]),
          "+f"(sums[kAt + 6][0]), "+f"(sums[kAt + 6][1]), "+f"(sums[kAt + 6][2]),
          "+f"(sums[kAt + 6][3]), "+f"(sums[kAt + 7][0]), "+f"(sums[kAt + 7][1]),
          "+f"(sums[kAt + 7][2]), "+f"(sums[kAt + 7][3])
        : "l"(a), "l"(b), "r"(add));
  }
}

#endif

}  // namespace tensormill
