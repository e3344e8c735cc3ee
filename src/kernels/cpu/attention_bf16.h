#pragma once

// Attention's products where the cache is bf16 and the level multiplies pairs of bf16: queries and
// weights are rounded to bf16, a score is one chain over the head's elements in pairs, a value one
// chain over the chunk's keys in pairs that begin at even places. Two rows of the cache are
// interleaved in registers, so that the cache looks the same for every level.

#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

using Pairs = __m512bh;
constexpr int kPairRow = 2 * kLanes;  // bf16 values of a vector

[[gnu::always_inline]] inline F dot_pairs(F sum, I a, I b) {
  return _mm512_dpbf16_ps(sum, bits_as<Pairs>(a), bits_as<Pairs>(b));
}

// Values [0, kPairRow) of two rows in pairs. Each vector has four of every eight.
struct Woven {
  I low, high;
};
[[gnu::always_inline]] inline Woven weave(I even, I odd) {
  return {_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd)};
}

// What was summed over woven rows, in the order of the rows' values.
[[gnu::always_inline]] inline void store_unwoven(float* to, F low, F high) {
  const I first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const I second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  store(to, _mm512_permutex2var_ps(low, first, high));
  store(to + kLanes, _mm512_permutex2var_ps(low, second, high));
}

// kLanes values rounded to bf16, and what they are then.
[[gnu::always_inline]] inline F store_rounded(Bf16* to, F x) {
  const __m256i bits = bits_as<__m256i>(_mm512_cvtneps_pbh(x));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bits);
  return widen_bf16(bits);
}

// A pair of neighbours in all lanes.
[[gnu::always_inline]] inline I pair_at(const Bf16* from) {
  int32_t pair;
  __builtin_memcpy(&pair, from, sizeof pair);
  return _mm512_set1_epi32(pair);
}

// score[r][b * kBlockTokens ...] = q[r] . k for the keys of B blocks; dim is even.
template <int R, int B>
void dot_woven(const Bf16* const* q, const Bf16* const* blocks, int dim, float* const* score) {
  static_assert(kBlockTokens == kPairRow);
  F low[R][B], high[R][B];
#pragma GCC unroll 8
  for (int i = 0; i < R * B; ++i) low[i / B][i % B] = high[i / B][i % B] = zero();
  for (int d = 0; d < dim; d += 2) {
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) {
      const Bf16* k = blocks[b] + d * kBlockTokens;
      const Woven key = weave(_mm512_loadu_si512(k), _mm512_loadu_si512(k + kBlockTokens));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const I query = pair_at(q[r] + d);
        low[r][b] = dot_pairs(low[r][b], key.low, query);
        high[r][b] = dot_pairs(high[r][b], key.high, query);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R * B; ++i) {
    store_unwoven(score[i / B] + i % B * kBlockTokens, low[i / B][i % B], high[i / B][i % B]);
  }
}

// The sums of weights times values over a run of keys of one block.
template <int R, int P>
struct WovenSums {
  F low[R][P], high[R][P];
};

// P vectors of a row from `from`; with P == 1 the lanes in `real` alone.
template <int P>
[[gnu::always_inline]] inline I value_row(const Bf16* from, int p, __mmask32 real) {
  if constexpr (P > 1) return _mm512_loadu_si512(from + p * kPairRow);
  return _mm512_maskz_loadu_epi16(real, from);
}

// Adds `count` keys, the first at an even place; behind an odd count stands a row that isn't read.
template <int R, int P>
[[gnu::always_inline]] inline void mix_woven(WovenSums<R, P>& sums, const Bf16* const* weight,
                                             int at, const Bf16* from, int dim, int count,
                                             __mmask32 real) {
  for (int t = 0; t < count; t += 2, from += 2 * dim) {
    Woven value[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const I even = value_row<P>(from, p, real);
      const I odd = t + 1 < count ? value_row<P>(from + dim, p, real) : _mm512_setzero_si512();
      value[p] = weave(even, odd);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const I pair = pair_at(weight[r] + at + t);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        sums.low[r][p] = dot_pairs(sums.low[r][p], value[p].low, pair);
        sums.high[r][p] = dot_pairs(sums.high[r][p], value[p].high, pair);
      }
    }
  }
}

// 2^x for x <= 0, good to 5e-5 of it, which bf16 doesn't show; NaN for NaN.
[[gnu::always_inline]] inline F power_below(F x) {
  const F t = _mm512_max_ps(set1(-150.0f), x);  // the second where it is NaN
  const F n = _mm512_roundscale_ps(t, kRoundNearest);
  const F f = t - n;
  F p = set1(9.6181291e-3f);
  p = fma(p, f, set1(5.5504109e-2f));
  p = fma(p, f, set1(2.4022651e-1f));
  p = fma(p, f, set1(6.9314718e-1f));
  p = fma(p, f, set1(1.0f));
  return _mm512_scalef_ps(p, n);
}

}  // namespace
}  // namespace tensormill
