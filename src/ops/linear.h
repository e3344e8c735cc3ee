#pragma once

#include <span>

#include "kernels/table.h"

namespace tensormill {

// The type in which a product wants its input rows: bf16 for bf16 weights, f32 for f16 and f32.
constexpr DType linear_input(WeightFormat format) {
  return format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF32;
}

// out = act(x W^T + bias + addend), or act(gate) * up for rows interleaved (gate_i, up_i), then
// scaled and capped where the arguments say so. The input has type linear_input(format), the output
// f32, bf16 or f16. Errors: kInternal for sizes, pointers or types that contradict each other.
void linear(const KernelTable& kernels, const LinearArgs& args, Stream stream);

// residual(), then the products that read its y (each args.in must be norm.y).
void norm_linear(const KernelTable& kernels, const ResidualArgs& norm,
                 std::span<const LinearArgs> products, Stream stream);

}  // namespace tensormill
