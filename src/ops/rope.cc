#include "ops/rope.h"

#include "ops/check.h"

namespace tensormill {

void rope(const KernelTable& kernels, const RopeArgs& args, Stream stream) {
  constexpr const char* kOp = "rope";
  require_live(args.live, kOp);
  require(args.dim > 0 && args.dim % 2 == 0, kOp, "a positive even dim");
  require(args.positions != nullptr && args.inv_freq != nullptr && args.cos_sin != nullptr, kOp,
          "positions, frequencies and an output");
  require(args.lengths == nullptr || (args.dim > 2 && args.original_length > 0 && args.theta > 0),
          kOp, "theta, an original length and dim > 2 for dynamic rope");
  kernels.rope(args, stream);
}

}  // namespace tensormill
