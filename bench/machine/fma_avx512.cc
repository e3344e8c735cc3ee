#include <immintrin.h>

#include "machine/loops.h"

namespace tensormill {

double fma_avx512(int64_t rounds) {
  constexpr int kSums = 24;        // in registers, enough to hide the latency
  constexpr int kOperations = 32;  // of one instruction
  __m512 a = _mm512_set1_ps(0.75f), b = _mm512_set1_ps(1e-3f);
  asm volatile("" : "+v"(a), "+v"(b));
  __m512 sums[kSums] = {};
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" : "+v"(sums[i]));  // else they are all one
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" ::"v"(sums[i]));
  return static_cast<double>(rounds) * kSums * kOperations;
}

}  // namespace tensormill
