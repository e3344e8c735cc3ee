#pragma once

#include "kernels/cuda/context.h"

namespace tensormill {

// Products of many rows on Hopper that end in what cuBLASLt doesn't do: gated pairs, and rows that
// are sorted by expert, each with its own weight.
struct WideProduct {
  Packed weight;         // expert 0's; those of the others follow
  int32_t experts;       // 1: all rows have one weight
  const int32_t* begin;  // [experts + 1]: first row of each expert; null for one
  Rows in, out;          // in of the weight's type; out of it too, or f32 where it isn't gated
  const float* bias;     // [outputs] or null; null where there are several experts
  Activation act;
  bool gated;
  Live live;  // rows; the count is not read where there is `begin`
};

bool runs_wide(const WideProduct& product, const CudaContext& context);
void run_wide(const WideProduct& product, const CudaContext& context);

}  // namespace tensormill
