#pragma once

#include "kernels/table.h"

namespace tensormill {

// Takes qkv [rows, (heads + kv_heads) * dim + kv_heads * value_dim] (all q heads, then k, then v)
// apart: clip, q/k norm, rope, log-n, then q, keys and values into the paged cache (f32,
// bf16 or f16). Errors: kInternal for sizes, pointers or types that contradict each other.
void to_cache(const KernelTable& kernels, const ToCacheArgs& args, Stream stream);

// The checks alone, for an attention that does this first.
void require_to_cache(const ToCacheArgs& args, const char* op);

}  // namespace tensormill
