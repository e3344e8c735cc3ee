#pragma once

// One or two rows of bf16 by vectors, in the order of sums and with the zeros that a tile has: a
// line of the weights after another, which keeps the memory busier than tiles do.

#include "kernels/cpu/amx/tile.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kVectorRows = 2;  // more are as fast by tiles

[[gnu::always_inline]] inline F first_of_pairs(I pairs) {
  return bits_as<F>(_mm512_slli_epi32(pairs, 16));
}
[[gnu::always_inline]] inline F second_of_pairs(I pairs) {
  return bits_as<F>(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

// Denormals are zero in what it encloses.
class WithoutDenormals {
 public:
  WithoutDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlush); }
  ~WithoutDenormals() { _mm_setcsr(before_); }
  WithoutDenormals(const WithoutDenormals&) = delete;
  WithoutDenormals& operator=(const WithoutDenormals&) = delete;

 private:
  static constexpr unsigned kFlush = 0x8040;  // of results, and of what is read
  unsigned before_;
};

// sums [kRows][kSumStride] += steps of 16 pairs; a row of pairs of the weights has kRowBytes. Not
// inlined: nothing of it may leave WithoutDenormals.
template <int kRows, int kTiles, int kRowBytes, int kSumStride>
[[gnu::noinline]] void add_steps(const Bf16* x, int64_t stride, const uint8_t* w, int steps,
                                 float* sums) {
  constexpr int kAhead = 4096;
  F total[kRows][kTiles];
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) total[r][t] = load(sums + r * kSumStride + t * kLanes);
  }
  for (int step = 0; step < steps; ++step, x += 2 * kTileRows) {
    F even[kRows][kTiles], odd[kRows][kTiles];
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) even[r][t] = odd[r][t] = zero();
    }
    for (int pair = 0; pair < kTileRows; ++pair, w += kRowBytes) {
      F first[kRows], second[kRows];
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        int32_t bits;
        __builtin_memcpy(&bits, x + r * stride + 2 * pair, sizeof bits);
        const I both = _mm512_set1_epi32(bits);
        first[r] = first_of_pairs(both);
        second[r] = second_of_pairs(both);
      }
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) {
        __builtin_prefetch(w + kAhead + t * kTileLine, 0, 2);
        const I pairs = _mm512_loadu_si512(w + t * kTileLine);
        const F low = first_of_pairs(pairs), high = second_of_pairs(pairs);
#pragma GCC unroll 2
        for (int r = 0; r < kRows; ++r) {
          even[r][t] = fma(low, first[r], even[r][t]);
          odd[r][t] = fma(high, second[r], odd[r][t]);
        }
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) total[r][t] = total[r][t] + (even[r][t] + odd[r][t]);
    }
  }
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) store(sums + r * kSumStride + t * kLanes, total[r][t]);
  }
}

}  // namespace
}  // namespace tensormill
