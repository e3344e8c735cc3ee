#include "sampling/softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace tensormill {
namespace {

constexpr size_t kLanes = 16, kBlock = 1024;

inline float exp_core(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const float bounded = x < -87.0f ? -87.0f : x;
  const float n = (bounded * 1.44269504f + kMagic) - kMagic;
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.9875691500e-4f;  // minimax on [-ln2/2, ln2/2], as in Cephes' expf
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
  const float scaled = p * std::bit_cast<float>(exponent);
  return x < -87.0f ? 0.0f : scaled;
}

// Magnitude bits above those of infinity: a NaN.
inline int32_t is_nan(float x) {
  return (std::bit_cast<int32_t>(x) & 0x7fffffff) > 0x7f800000;
}

}  // namespace

float exp_negative(float x) {
  return exp_core(x);
}

RowPeak find_peak(std::span<const float> logits) {
  RowPeak peak;
  peak.value = -std::numeric_limits<float>::infinity();
  size_t peak_block = 0;
  int32_t nan = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, logits.size() - begin);
    const float* x = logits.data() + begin;
    float best[kLanes];
    int32_t bad[kLanes] = {};
    std::fill(best, best + kLanes, -std::numeric_limits<float>::infinity());
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        best[l] = x[i + l] > best[l] ? x[i + l] : best[l];
        bad[l] |= is_nan(x[i + l]);
      }
    }
    for (; i < count; ++i) {
      best[0] = std::max(best[0], x[i]);
      bad[0] |= is_nan(x[i]);
    }
    for (size_t l = 0; l < kLanes; ++l) nan |= bad[l];
    const float top = *std::max_element(best, best + kLanes);
    if (top > peak.value) {
      peak.value = top;
      peak_block = begin;
    }
  }
  peak.finite = !nan && peak.value != std::numeric_limits<float>::infinity();
  if (!peak.finite || peak.value == -std::numeric_limits<float>::infinity()) return peak;
  size_t index = peak_block;
  while (logits[index] != peak.value) ++index;
  peak.index = static_cast<int32_t>(index);
  return peak;
}

double sum_exp(std::span<const float> logits, float peak) {
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, logits.size() - begin);
    const float* x = logits.data() + begin;
    float sums[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) sums[l] += exp_core(x[i + l] - peak);
    }
    for (; i < count; ++i) sums[0] += exp_core(x[i] - peak);
    for (const float sum : sums) total += static_cast<double>(sum);
  }
  return total;
}

}  // namespace tensormill
