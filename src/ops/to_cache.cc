#include "ops/to_cache.h"

#include "ops/check.h"

namespace tensormill {

void to_cache(const KernelTable& kernels, const ToCacheArgs& args, Stream stream) {
  constexpr const char* kOp = "to_cache";
  require_live(args.live, kOp);
  require_heads(args.heads, args.kv_heads, args.dim, kOp);
  require_kv(args.kv, args.dim, kOp);
  require(args.qkv != nullptr && args.q != nullptr && args.positions != nullptr &&
              args.row_sequence != nullptr,
          kOp, "an input, an output, positions and sequences");
  require(args.qkv_stride >= int64_t{args.heads + 2 * args.kv_heads} * args.dim, kOp,
          "rows of (heads + 2 * kv_heads) * dim values");
  require_norm(args.q_norm, kOp);
  require_norm(args.k_norm, kOp);
  require(args.cos_sin == nullptr ||
              (args.rope_dim > 0 && args.rope_dim % 2 == 0 && args.rope_dim <= args.dim),
          kOp, "an even rope_dim of at most dim");
  kernels.to_cache(args, stream);
}

}  // namespace tensormill
