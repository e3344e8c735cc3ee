#pragma once

// Functions of f32 vectors, each within about 2 units in the last place. Polynomials are fitted
// over the intervals that the comments name.

#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

// e^x; 0 below -87.33 (results there would be subnormal), infinity above 88.72, NaN for NaN.
[[gnu::always_inline]] inline F exp(F x) {
  const F clamped = max(min(x, set1(88.8f)), set1(-87.3f));
  const F magic = set1(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const F biased = fma(clamped, set1(1.44269504f), magic);
  const F n = biased - magic;
  const F r = fma(n, set1(2.12194440e-4f), fma(n, set1(-0.693359375f), clamped));
  F p = set1(1.39336765e-3f);  // |r| <= ln(2) / 2
  p = fma(p, r, set1(8.36319756e-3f));
  p = fma(p, r, set1(4.16664630e-2f));
  p = fma(p, r, set1(1.66665763e-1f));
  p = fma(p, r, set1(0.5f));
  p = fma(p * r, r, r) + set1(1.0f);
  F result = scale_by_power(p, biased);
  result = select(less(x, set1(-87.3f)), zero(), result);
  result = select(less(set1(88.72283f), x), set1(__builtin_inff()), result);
  return select(is_nan(x), x, result);
}

[[gnu::always_inline]] inline F sigmoid(F x) {
  return set1(1.0f) / (set1(1.0f) + exp(zero() - x));
}

[[gnu::always_inline]] inline F tanh(F x) {
  const F s = x * x;
  F p = set1(-5.66477515e-3f);  // |x| <= 0.625
  p = fma(p, s, set1(2.05956791e-2f));
  p = fma(p, s, set1(-5.37226796e-2f));
  p = fma(p, s, set1(1.33311495e-1f));
  p = fma(p, s, set1(-3.33332628e-1f));
  const F small = fma(p * s, x, x);
  const F t = absolute(x);
  const F large = set1(1.0f) - set1(2.0f) / (exp(t + t) + set1(1.0f));
  return select(less(t, set1(0.625f)), small, with_sign(large, x));
}

[[gnu::always_inline]] inline F erf(F x) {
  const F s = x * x;
  F p = set1(7.88249745e-5f);  // |x| <= 1: erf(x) / x
  p = fma(p, s, set1(-8.01885501e-4f));
  p = fma(p, s, set1(5.18931216e-3f));
  p = fma(p, s, set1(-2.68543288e-2f));
  p = fma(p, s, set1(1.12835974e-1f));
  p = fma(p, s, set1(-3.76126260e-1f));
  p = fma(p, s, set1(1.12837911f));
  const F small = p * x;
  const F t = min(absolute(x), set1(4.0f));
  F q = set1(-1.33093899e-5f);  // 1 <= t <= 4: ln(1 - erf(t))
  q = fma(q, t, set1(3.17572033e-4f));
  q = fma(q, t, set1(-3.43686761e-3f));
  q = fma(q, t, set1(2.26219855e-2f));
  q = fma(q, t, set1(-1.03318982e-1f));
  q = fma(q, t, set1(-6.39093339e-1f));
  q = fma(q, t, set1(-1.12592590f));
  q = fma(q, t, set1(-7.56968628e-4f));
  const F large = set1(1.0f) - exp(q);
  return select(less(t, set1(1.0f)), small, select(is_nan(x), x, with_sign(large, x)));
}

[[gnu::always_inline]] inline F activate(F x, Activation act) {
  switch (act) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      return select(less(x, zero()), zero(), x);
    case Activation::kGelu:
      return set1(0.5f) * x * (set1(1.0f) + erf(x * set1(0.707106781f)));
    case Activation::kGeluTanh: {  // (1 + tanh(y)) / 2 = 1 / (1 + e^-2y)
      const F inner = fma(set1(0.044715f) * x, x * x, x);
      return x / (set1(1.0f) + exp(set1(-1.59576912f) * inner));
    }
    case Activation::kQuickGelu:
      return x * sigmoid(set1(1.702f) * x);
    case Activation::kSilu:
      return x / (set1(1.0f) + exp(zero() - x));
    case Activation::kTanh:
      return tanh(x);
  }
  return x;
}

// Applies `act` to n values (n a multiple of kLanes).
inline void activate(float* x, int n, Activation act) {
  if (act == Activation::kNone) return;
  for (int i = 0; i < n; i += kLanes) store(x + i, activate(load(x + i), act));
}

}  // namespace
}  // namespace tensormill
