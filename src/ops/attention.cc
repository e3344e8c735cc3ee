#include "ops/attention.h"

#include "ops/check.h"

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
  kernels.attention(args, stream);
}

}  // namespace tensormill
