#pragma once

#include "kernels/table.h"

namespace tensormill {

__device__ __forceinline__ float activate(Activation act, float x) {
  switch (act) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return fmaxf(x, 0.0f);
    case Activation::kGelu:
      return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case Activation::kGeluTanh:
      return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case Activation::kQuickGelu:
      return x / (1.0f + __expf(-1.702f * x));
    case Activation::kSilu:
      return x / (1.0f + __expf(-x));
    case Activation::kTanh:
      return tanhf(x);
  }
  return x;
}

// What `linear` does to an output at its end.
__device__ __forceinline__ float scale_and_cap(float x, float scale, float softcap) {
  if (scale != 0.0f) x *= scale;
  return softcap == 0.0f ? x : softcap * tanhf(x / softcap);
}

}  // namespace tensormill
