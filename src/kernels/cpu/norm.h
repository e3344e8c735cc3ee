#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

// What a norm subtracts from and multiplies onto a row before weight and shift.
struct Moments {
  float mean, inverse;
};

// get(i, n): n values of the row from i, then zeros.
template <class Get>
[[gnu::always_inline]] inline Moments moments(const Norm& norm, int width, Get&& get) {
  const float count = static_cast<float>(width);
  float mean = 0;
  if (norm.kind == NormKind::kLayer) mean = sum_of(width, get) / count;
  const F center = set1(mean);
  const float square = sum_of(width, [&](int i, int n) {
    const F x = get(i, n) - center;
    const F squared = x * x;
    return n == kLanes ? squared : keep_n(squared, n);
  });
  return {mean, 1.0f / __builtin_sqrtf(square / count + norm.eps)};
}

[[gnu::always_inline]] inline F normed(const Norm& norm, const Moments& moment, F x, int i, int n) {
  x = (x - set1(moment.mean)) * set1(moment.inverse) * load_some(norm.weight + i, n);
  return norm.shift == nullptr ? x : x + load_some(norm.shift + i, n);
}

}  // namespace
}  // namespace tensormill
