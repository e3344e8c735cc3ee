#include <immintrin.h>

#include "machine/loops.h"

namespace tensormill {

double fma_avx2(int64_t rounds) {
  constexpr int kSums = 12;        // in registers, enough to hide the latency
  constexpr int kOperations = 16;  // of one instruction
  __m256 a = _mm256_set1_ps(0.75f), b = _mm256_set1_ps(1e-3f);
  asm volatile("" : "+x"(a), "+x"(b));
  __m256 sums[kSums] = {};
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" : "+x"(sums[i]));  // else they are all one
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" ::"x"(sums[i]));
  return static_cast<double>(rounds) * kSums * kOperations;
}

}  // namespace tensormill
