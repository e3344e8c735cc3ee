#include "ops/embed.h"

#include "ops/check.h"

namespace tensormill {

void embed(const KernelTable& kernels, const EmbedArgs& args, Stream stream) {
  constexpr const char* kOp = "embed";
  require_live(args.live, kOp);
  require(args.width > 0, kOp, "a positive width");
  require(args.tokens != nullptr && args.table != nullptr && args.residual != nullptr, kOp,
          "tokens, a table and an output");
  require(is_float(args.type), kOp, "a table of f32, bf16 or f16");
  for (int axis = 0; axis < 2; ++axis) {
    require(args.position_table[axis] == nullptr || args.positions[axis] != nullptr, kOp,
            "positions for every position table");
  }
  kernels.embed(args, stream);
}

}  // namespace tensormill
