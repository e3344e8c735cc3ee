#pragma once

#include <span>

#include "kernels/table.h"

namespace tensormill {

// out = act(x W^T + bias + addend), or act(gate) * up for rows interleaved (gate_i, up_i), then
// scaled and capped where the arguments say so. The input has kernels.types(format).input, the
// output is f32, bf16 or f16. Errors: kInternal for sizes, pointers or types that contradict each
// other.
void linear(const KernelTable& kernels, const LinearArgs& args, Stream stream);

// residual(), then the products that read its y (each args.in must be norm.y).
void norm_linear(const KernelTable& kernels, const ResidualArgs& norm,
                 std::span<const LinearArgs> products, Stream stream);

}  // namespace tensormill
