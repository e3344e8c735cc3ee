#include "ops/attention.h"

#include "ops/check.h"

namespace tensormill {

void attention(const KernelTable& kernels, const AttentionArgs& args, Stream stream) {
  constexpr const char* kOp = "attention";
  require_live(args.rows, kOp);
  require_live(args.sequences, kOp);
  require_heads(args.heads, args.kv_heads, args.dim, kOp);
  require_kv(args.kv, args.dim, kOp);
  const int64_t width = int64_t{args.heads} * args.dim;
  require(args.q != nullptr && args.q_stride >= width, kOp, "rows of heads * dim queries");
  require(args.row_begin != nullptr && args.keys != nullptr && args.scratch != nullptr, kOp,
          "row_begin, keys and scratch");
  require(args.score.window >= 0 && args.score.softcap >= 0, kOp,
          "a window and softcap of 0 or more");
  require_rows(args.out, width, kOp);
  kernels.attention(args, stream);
}

}  // namespace tensormill
