#pragma once

#include "kernels/table.h"

namespace tensormill {

// The cosines and sines of one step, for all layers: cos_sin [rows, axes, dim], dim/2 cosines then
// dim/2 sines. Angles are products of f32 values, as PyTorch computes them. Errors: kInternal for
// sizes or pointers that contradict each other.
void rope(const KernelTable& kernels, const RopeArgs& args, Stream stream);

}  // namespace tensormill
