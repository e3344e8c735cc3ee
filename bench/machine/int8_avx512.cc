#include <immintrin.h>

#include "machine/loops.h"

namespace tensormill {

double int8_avx512(int64_t rounds) {
  constexpr int kSums = 24;         // in registers, enough to hide the latency
  constexpr int kOperations = 128;  // of one instruction
  __m512i a = _mm512_set1_epi32(0x01020703), b = _mm512_set1_epi32(0x02ff03fe);
  asm volatile("" : "+v"(a), "+v"(b));
  __m512i sums[kSums] = {};
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" : "+v"(sums[i]));  // else they are all one
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) asm volatile("" ::"v"(sums[i]));
  return static_cast<double>(rounds) * kSums * kOperations;
}

}  // namespace tensormill
