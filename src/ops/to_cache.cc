#include "ops/to_cache.h"

#include "ops/check.h"

namespace tensormill {

void to_cache(const KernelTable& kernels, const ToCacheArgs& args, Stream stream) {
  constexpr const char* kOp = "to_cache";
  require_live(args.live, kOp);
  require_heads(args.heads, args.kv_heads, args.dim, args.value_dim, kOp);
  require_kv(args.kv, args.dim, args.value_dim, kOp);
  require(args.qkv != nullptr && args.slots != nullptr && args.row_sequence != nullptr, kOp,
          "an input, slots and sequences");
  require_rows(args.q, int64_t{args.heads} * args.dim, kOp);
  const int64_t width =
      (int64_t{args.heads} + args.kv_heads) * args.dim + int64_t{args.kv_heads} * args.value_dim;
  require(args.qkv_stride >= width, kOp,
          "rows of (heads + kv_heads) * dim + kv_heads * value_dim values");
  require(args.clip >= 0, kOp, "a clip of 0 or more");
  require_norm(args.q_norm, kOp);
  require_norm(args.k_norm, kOp);
  if (args.cos_sin != nullptr) {
    require(args.rope_axes == 1 || args.rope_axes == 2, kOp, "1 or 2 rope_axes");
    require(
        args.rope_dim > 0 && args.rope_dim % 2 == 0 && args.rope_dim <= args.dim / args.rope_axes,
        kOp, "an even rope_dim, of all axes at most dim");
  }
  require(args.log_n == 0 || args.log_n > 1, kOp, "a log_n of 0 or more than 1");
  kernels.to_cache(args, stream);
}

}  // namespace tensormill
