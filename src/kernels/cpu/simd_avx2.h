#pragma once

#include <immintrin.h>

#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

using F = __m256;
using I = __m256i;
using Mask = __m256;
constexpr int kLanes = 8;
constexpr int kRoundNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

[[gnu::always_inline]] inline F zero() {
  return _mm256_setzero_ps();
}
[[gnu::always_inline]] inline F set1(float x) {
  return _mm256_set1_ps(x);
}
[[gnu::always_inline]] inline F fma(F a, F b, F c) {
  return _mm256_fmadd_ps(a, b, c);
}
[[gnu::always_inline]] inline F max(F a, F b) {
  return _mm256_max_ps(a, b);
}
[[gnu::always_inline]] inline F min(F a, F b) {
  return _mm256_min_ps(a, b);
}
[[gnu::always_inline]] inline Mask less(F a, F b) {
  return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
[[gnu::always_inline]] inline Mask is_nan(F a) {
  return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
[[gnu::always_inline]] inline F select(Mask mask, F yes, F no) {
  return _mm256_blendv_ps(no, yes, mask);
}
[[gnu::always_inline]] inline Mask either(Mask a, Mask b) {
  return _mm256_or_ps(a, b);
}
[[gnu::always_inline]] inline uint32_t lane_bits(Mask mask) {
  return static_cast<uint32_t>(_mm256_movemask_ps(mask));
}
// Lanes [begin, end), any integers.
[[gnu::always_inline]] inline Mask lanes_between(int begin, int end) {
  const I lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane),
                                                 _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane)));
}
[[gnu::always_inline]] inline F absolute(F x) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
// x with the sign of y.
[[gnu::always_inline]] inline F with_sign(F x, F y) {
  return _mm256_or_ps(absolute(x), _mm256_and_ps(_mm256_set1_ps(-0.0f), y));
}
// p * 2^n, where `biased` holds n in the low bits of an f32 near 1.5 * 2^23.
[[gnu::always_inline]] inline F scale_by_power(F p, F biased) {
  return _mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(biased), 23)));
}

[[gnu::always_inline]] inline float reduce_add(F x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
[[gnu::always_inline]] inline float reduce_max(F x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

[[gnu::always_inline]] inline F widen_bf16(__m128i x) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
// Round to nearest even; NaN stays NaN.
[[gnu::always_inline]] inline __m128i narrow_bf16(F x) {
  const I bits = _mm256_castps_si256(x);
  const I odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const I rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const I quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const I kept =
      _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(is_nan(x))), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(kept), _mm256_extracti128_si256(kept, 1));
}

[[gnu::always_inline]] inline F load(const float* p) {
  return _mm256_loadu_ps(p);
}
[[gnu::always_inline]] inline F load(const Bf16* p) {
  return widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
[[gnu::always_inline]] inline F load(const F16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
template <class T>
[[gnu::always_inline]] inline F load_n(const T* p, int n) {
  T some[kLanes] = {};
  __builtin_memcpy(some, p, static_cast<size_t>(n) * sizeof(T));
  return load(some);
}
[[gnu::always_inline]] inline void store(float* p, F x) {
  _mm256_storeu_ps(p, x);
}
[[gnu::always_inline]] inline void store(Bf16* p, F x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow_bf16(x));
}
[[gnu::always_inline]] inline void store(F16* p, F x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, kRoundNearest));
}
template <class T>
[[gnu::always_inline]] inline void store_n(T* p, F x, int n) {
  T some[kLanes];
  store(some, x);
  __builtin_memcpy(p, some, static_cast<size_t>(n) * sizeof(T));
}
// The first n lanes, the rest zero.
[[gnu::always_inline]] inline F keep_n(F x, int n) {
  return _mm256_and_ps(x, lanes_between(0, n));
}

// Pairs of bf16: the even ones and the odd ones.
[[gnu::always_inline]] inline void load_pairs(const Bf16* p, F& even, F& odd) {
  const I pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
  odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}

// Neighbours apart: of a and then b, the even lanes and the odd ones.
[[gnu::always_inline]] inline void split(F a, F b, F& even, F& odd) {
  const auto order = [](F x) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), _MM_SHUFFLE(3, 1, 2, 0)));
  };
  even = order(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
  odd = order(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
}

}  // namespace
}  // namespace tensormill
