#include <immintrin.h>

#include "machine/loops.h"

namespace tensormill {

double bf16_avx512(int64_t rounds) {
  constexpr int kSums = 24;                  // in registers, enough to hide the latency
  constexpr int kOperations = 64;            // of one instruction
  __m512i bits = _mm512_set1_epi16(0x3c13);  // a small bf16
  asm volatile("" : "+v"(bits));
  const __m512bh a = (__m512bh)bits;
  __m512 sums[kSums] = {};
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" : "+v"(sums[i]));  // else they are all one
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], a, a);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" ::"v"(sums[i]));
  return static_cast<double>(rounds) * kSums * kOperations;
}

}  // namespace tensormill
