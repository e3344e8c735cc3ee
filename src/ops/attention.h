#pragma once

#include "kernels/table.h"

namespace tensormill {

// Softmax attention of ragged query rows over the paged cache; output [rows, heads * value_dim] in
// f32, bf16 or f16. args.store is done first (ops/to_cache.h). Ask kernels.runs(args) at load.
// Errors: kInternal for sizes, pointers or types that contradict each other.
void attention(const KernelTable& kernels, const AttentionArgs& args, Stream stream);

}  // namespace tensormill
