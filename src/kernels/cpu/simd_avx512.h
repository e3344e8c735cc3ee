#pragma once

#include <immintrin.h>

#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

using F = __m512;
using I = __m512i;
using Mask = __mmask16;
constexpr int kLanes = 16;
constexpr int kRoundNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

[[gnu::always_inline]] inline F zero() {
  return _mm512_setzero_ps();
}
[[gnu::always_inline]] inline F set1(float x) {
  return _mm512_set1_ps(x);
}
[[gnu::always_inline]] inline F fma(F a, F b, F c) {
  return _mm512_fmadd_ps(a, b, c);
}
[[gnu::always_inline]] inline F max(F a, F b) {
  return _mm512_max_ps(a, b);
}
[[gnu::always_inline]] inline F min(F a, F b) {
  return _mm512_min_ps(a, b);
}
[[gnu::always_inline]] inline Mask less(F a, F b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
[[gnu::always_inline]] inline Mask is_nan(F a) {
  return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
[[gnu::always_inline]] inline F select(Mask mask, F yes, F no) {
  return _mm512_mask_blend_ps(mask, no, yes);
}
[[gnu::always_inline]] inline Mask either(Mask a, Mask b) {
  return static_cast<Mask>(a | b);
}
[[gnu::always_inline]] inline uint32_t lane_bits(Mask mask) {
  return mask;
}
// Lanes [begin, end), any integers.
[[gnu::always_inline]] inline Mask lanes_between(int begin, int end) {
  const I lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_cmpge_epi32_mask(lane, _mm512_set1_epi32(begin)) &
         _mm512_cmplt_epi32_mask(lane, _mm512_set1_epi32(end));
}
[[gnu::always_inline]] inline F absolute(F x) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)));
}
// x with the sign of y.
[[gnu::always_inline]] inline F with_sign(F x, F y) {
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
      _mm512_set1_epi32(0x7fffffff), _mm512_castps_si512(x), _mm512_castps_si512(y), 0xca));
}
// p * 2^n, where `biased` holds n in the low bits of an f32 near 1.5 * 2^23.
[[gnu::always_inline]] inline F scale_by_power(F p, F biased) {
  return _mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(biased), 23)));
}

[[gnu::always_inline]] inline float reduce_add(F x) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}
[[gnu::always_inline]] inline float reduce_max(F x) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
}

[[gnu::always_inline]] inline __mmask16 first(int n) {
  return static_cast<__mmask16>((1u << n) - 1);
}
[[gnu::always_inline]] inline F widen_bf16(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
// Round to nearest even; NaN stays NaN.
[[gnu::always_inline]] inline __m256i narrow_bf16(F x) {
  const I bits = _mm512_castps_si512(x);
  const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const I rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const I kept = _mm512_mask_or_epi32(rounded, is_nan(x), bits, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
}

[[gnu::always_inline]] inline F load(const float* p) {
  return _mm512_loadu_ps(p);
}
[[gnu::always_inline]] inline F load(const Bf16* p) {
  return widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
[[gnu::always_inline]] inline F load(const F16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
[[gnu::always_inline]] inline F load_n(const float* p, int n) {
  return _mm512_maskz_loadu_ps(first(n), p);
}
[[gnu::always_inline]] inline F load_n(const Bf16* p, int n) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first(n), p));
}
[[gnu::always_inline]] inline F load_n(const F16* p, int n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p));
}
[[gnu::always_inline]] inline void store(float* p, F x) {
  _mm512_storeu_ps(p, x);
}
[[gnu::always_inline]] inline void store(Bf16* p, F x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_bf16(x));
}
[[gnu::always_inline]] inline void store(F16* p, F x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, kRoundNearest));
}
[[gnu::always_inline]] inline void store_n(float* p, F x, int n) {
  _mm512_mask_storeu_ps(p, first(n), x);
}
[[gnu::always_inline]] inline void store_n(Bf16* p, F x, int n) {
  _mm256_mask_storeu_epi16(p, first(n), narrow_bf16(x));
}
[[gnu::always_inline]] inline void store_n(F16* p, F x, int n) {
  _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtps_ph(x, kRoundNearest));
}
// The first n lanes, the rest zero.
[[gnu::always_inline]] inline F keep_n(F x, int n) {
  return _mm512_maskz_mov_ps(first(n), x);
}

// Pairs of bf16: the even ones and the odd ones.
[[gnu::always_inline]] inline void load_pairs(const Bf16* p, F& even, F& odd) {
  const I pairs = _mm512_loadu_si512(p);
  even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
}

// Neighbours apart: of a and then b, the even lanes and the odd ones.
[[gnu::always_inline]] inline void split(F a, F b, F& even, F& odd) {
  const I lane = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even = _mm512_permutex2var_ps(a, lane, b);
  odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(lane, _mm512_set1_epi32(1)), b);
}

}  // namespace
}  // namespace tensormill
