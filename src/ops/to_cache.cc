#include "ops/to_cache.h"

#include "ops/check.h"

namespace tensormill {

void require_to_cache(const ToCacheArgs& args, const char* op) {
  require_live(args.live, op);
  require_heads(args.heads, args.kv_heads, args.dim, args.value_dim, op);
  require_kv(args.kv, args.dim, args.value_dim, op);
  require(args.slots != nullptr && args.row_sequence != nullptr, op, "slots and sequences");
  require_rows(args.q, int64_t{args.heads} * args.dim, op);
  const int64_t width =
      (int64_t{args.heads} + args.kv_heads) * args.dim + int64_t{args.kv_heads} * args.value_dim;
  require_rows(args.qkv, width, op);
  require(args.clip >= 0, op, "a clip of 0 or more");
  require_norm(args.q_norm, op);
  require_norm(args.k_norm, op);
  if (args.cos_sin != nullptr) {
    require(args.rope_axes == 1 || args.rope_axes == 2, op, "1 or 2 rope_axes");
    require(
        args.rope_dim > 0 && args.rope_dim % 2 == 0 && args.rope_dim <= args.dim / args.rope_axes,
        op, "an even rope_dim, of all axes at most dim");
  }
  require(args.log_n == 0 || args.log_n > 1, op, "a log_n of 0 or more than 1");
}

void to_cache(const KernelTable& kernels, const ToCacheArgs& args, Stream stream) {
  require_to_cache(args, "to_cache");
  kernels.to_cache(args, stream);
}

}  // namespace tensormill
