#include "ops/attention.h"

#include "ops/check.h"
#include "ops/to_cache.h"

namespace tensormill {

void attention(const KernelTable& kernels, const AttentionArgs& args, Stream stream) {
  constexpr const char* kOp = "attention";
  require_live(args.rows, kOp);
  require_live(args.sequences, kOp);
  require_heads(args.heads, args.kv_heads, args.dim, args.value_dim, kOp);
  require_kv(args.kv, args.dim, args.value_dim, kOp);
  require_rows(args.q, int64_t{args.heads} * args.dim, kOp);
  require(args.row_begin != nullptr && args.keys != nullptr && args.scratch != nullptr, kOp,
          "row_begin, keys and scratch");
  require(args.score.window >= 0 && args.score.softcap >= 0, kOp,
          "a window and softcap of 0 or more");
  require(args.score.slopes == nullptr || args.score.bias_scale != 0, kOp,
          "a bias_scale for the slopes");
  require_rows(args.out, int64_t{args.heads} * args.value_dim, kOp);
  if (args.store != nullptr) {
    const ToCacheArgs& store = *args.store;
    require_to_cache(store, kOp);
    require(store.q.x == args.q.x && store.kv.k == args.kv.k && store.kv.v == args.kv.v &&
                store.heads == args.heads && store.kv_heads == args.kv_heads &&
                store.dim == args.dim && store.value_dim == args.value_dim,
            kOp, "the queries and the cache that store writes");
  }
  kernels.attention(args, stream);
}

}  // namespace tensormill
