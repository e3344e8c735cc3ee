#pragma once

#include <cstdint>
#include <span>

namespace tensormill {

// What one pass over a row of logits finds.
struct RowPeak {
  int32_t index = -1;  // the first largest logit; -1: no finite logit
  float value = 0;
  bool finite = true;  // false: a NaN or +infinity is among them (-infinity means probability 0)
};
RowPeak find_peak(std::span<const float> logits);

// Sum of exp(logit - peak), in one fixed order.
double sum_exp(std::span<const float> logits, float peak);

// exp for x <= 0, within 3e-7 of the true value relative to it; 0 below -87. Branch-free, so that
// loops over it vectorize.
float exp_negative(float x);

}  // namespace tensormill
