#pragma once

#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

// The compilers' own vectors of 16 bytes: SSE2 on x86-64, NEON on arm64.
typedef float F __attribute__((vector_size(16)));
typedef int32_t I __attribute__((vector_size(16)));
using Mask = I;
constexpr int kLanes = 4;

[[gnu::always_inline]] inline F zero() {
  return F{};
}
[[gnu::always_inline]] inline F set1(float x) {
  return F{x, x, x, x};
}
[[gnu::always_inline]] inline I set1_int(int32_t x) {
  return I{x, x, x, x};
}
[[gnu::always_inline]] inline F fma(F a, F b, F c) {
  return a * b + c;
}
[[gnu::always_inline]] inline Mask less(F a, F b) {
  return a < b;
}
[[gnu::always_inline]] inline Mask is_nan(F a) {
  return a != a;
}
[[gnu::always_inline]] inline F select(Mask mask, F yes, F no) {
  return bits_as<F>((bits_as<I>(yes) & mask) | (bits_as<I>(no) & ~mask));
}
[[gnu::always_inline]] inline F max(F a, F b) {
  return select(b < a, a, b);
}
[[gnu::always_inline]] inline F min(F a, F b) {
  return select(a < b, a, b);
}
[[gnu::always_inline]] inline Mask either(Mask a, Mask b) {
  return a | b;
}
[[gnu::always_inline]] inline uint32_t lane_bits(Mask mask) {
  return static_cast<uint32_t>((mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8));
}
// Lanes [begin, end), any integers.
[[gnu::always_inline]] inline Mask lanes_between(int begin, int end) {
  const I lane = {0, 1, 2, 3};
  return (lane >= set1_int(begin)) & (lane < set1_int(end));
}
[[gnu::always_inline]] inline F absolute(F x) {
  return bits_as<F>(bits_as<I>(x) & set1_int(0x7fffffff));
}
// x with the sign of y.
[[gnu::always_inline]] inline F with_sign(F x, F y) {
  return select(set1_int(0x7fffffff), x, y);
}
// p * 2^n, where `biased` holds n in the low bits of an f32 near 1.5 * 2^23.
[[gnu::always_inline]] inline F scale_by_power(F p, F biased) {
  return bits_as<F>(bits_as<I>(p) + (bits_as<I>(biased) << 23));
}

[[gnu::always_inline]] inline float reduce_add(F x) {
  return (x[0] + x[2]) + (x[1] + x[3]);
}
[[gnu::always_inline]] inline float reduce_max(F x) {
  const float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
  return a > b ? a : b;
}

[[gnu::always_inline]] inline float widen(Bf16 x) {
  return bits_as<float>(static_cast<uint32_t>(x.bits) << 16);
}
[[gnu::always_inline]] inline float widen(F16 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000) << 16;
  const uint32_t body = static_cast<uint32_t>(x.bits & 0x7fff) << 13;
  if ((x.bits & 0x7c00) == 0x7c00) return bits_as<float>(sign | 0x7f800000u | body);
  // The exponent's bias differs by 112; the product also turns subnormals into normal numbers.
  const float magnitude = bits_as<float>(body) * bits_as<float>(uint32_t{(127 + 112) << 23});
  return bits_as<float>(sign | bits_as<uint32_t>(magnitude));
}
// Round to nearest even; NaN stays NaN.
[[gnu::always_inline]] inline void narrow(float x, Bf16& to) {
  const auto bits = bits_as<uint32_t>(x);
  const uint32_t rounded = x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u);
  to.bits = static_cast<uint16_t>(rounded >> 16);
}
[[gnu::always_inline]] inline void narrow(float x, F16& to) {
  const auto bits = bits_as<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000u, body = bits & 0x7fffffffu;
  uint32_t half;
  if (body > 0x7f800000u) {
    half = 0x7e00u | ((body >> 13) & 0x3ffu);
  } else if (body >= 0x47800000u) {
    half = 0x7c00u;  // 65536 and more
  } else if (body < 0x38800000u) {
    // Subnormal: adding 0.5 leaves the value in units of 2^-24 in the low bits, rounded.
    half = bits_as<uint32_t>(bits_as<float>(body) + 0.5f) - 0x3f000000u;
  } else {
    half = (body - (112u << 23) + 0xfffu + ((body >> 13) & 1u)) >> 13;
  }
  to.bits = static_cast<uint16_t>(sign | half);
}
[[gnu::always_inline]] inline float widen(float x) {
  return x;
}
[[gnu::always_inline]] inline void narrow(float x, float& to) {
  to = x;
}

template <class T>
[[gnu::always_inline]] inline F load(const T* p) {
  return F{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])};
}
[[gnu::always_inline]] inline F load(const float* p) {
  F x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
template <class T>
[[gnu::always_inline]] inline F load_n(const T* p, int n) {
  F x = zero();
  for (int i = 0; i < n; ++i) x[i] = widen(p[i]);
  return x;
}
template <class T>
[[gnu::always_inline]] inline void store_n(T* p, F x, int n) {
  for (int i = 0; i < n; ++i) narrow(x[i], p[i]);
}
template <class T>
[[gnu::always_inline]] inline void store(T* p, F x) {
  store_n(p, x, kLanes);
}
[[gnu::always_inline]] inline void store(float* p, F x) {
  __builtin_memcpy(p, &x, sizeof x);
}
// The first n lanes, the rest zero.
[[gnu::always_inline]] inline F keep_n(F x, int n) {
  return bits_as<F>(bits_as<I>(x) & lanes_between(0, n));
}

// Pairs of bf16: the even ones and the odd ones.
[[gnu::always_inline]] inline void load_pairs(const Bf16* p, F& even, F& odd) {
  I pairs;
  __builtin_memcpy(&pairs, p, sizeof pairs);
  even = bits_as<F>(pairs << 16);
  odd = bits_as<F>(pairs & set1_int(-65536));
}

// Neighbours apart: of a and then b, the even lanes and the odd ones.
[[gnu::always_inline]] inline void split(F a, F b, F& even, F& odd) {
  even = F{a[0], a[2], b[0], b[2]};
  odd = F{a[1], a[3], b[1], b[3]};
}

}  // namespace
}  // namespace tensormill
