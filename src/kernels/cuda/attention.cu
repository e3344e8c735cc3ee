#include "kernels/cuda/entries.h"

namespace tensormill {

void cuda_attention(const AttentionArgs& given, CudaContext& context) {
  AttentionArgs args = given;
  const bool decode = runs_decode(args, context);
  const bool single = args.rows.bound == args.sequences.bound;  // every sequence has one row
  if (args.store != nullptr && !(single && decode && decode_stores(*args.store))) {
    cuda_to_cache(*args.store, context);
    args.store = nullptr;
  }
  if (single) {
    if (decode) return cuda_attention_decode(args, context);
    return cuda_attention_plain(args, QueryRows::kAll, context);
  }
  const bool prompt = runs_prompt(args, context);
  if (!decode && !prompt) return cuda_attention_plain(args, QueryRows::kAll, context);
  if (prompt) {
    cuda_attention_prompt(args, context);
  } else {
    cuda_attention_plain(args, QueryRows::kSeveral, context);
  }
  if (args.sequences.bound == 1) return;  // it has several rows
  if (decode) {
    cuda_attention_decode(args, context);
  } else {
    cuda_attention_plain(args, QueryRows::kOne, context);
  }
}

size_t cuda_attention_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys) {
  return decode_scratch(rows, heads, value_dim, max_keys);
}

}  // namespace tensormill
