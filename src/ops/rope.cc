#include "ops/rope.h"

#include "ops/check.h"

namespace tensormill {

void rope(const KernelTable& kernels, const RopeArgs& args, Stream stream) {
  constexpr const char* kOp = "rope";
  require_live(args.live, kOp);
  require(args.dim > 0 && args.dim % 2 == 0 && args.dim <= kMaxHeadDim, kOp,
          "a positive even dim of at most kMaxHeadDim");
  require(args.axes == 1 || args.axes == 2, kOp, "1 or 2 axes");
  for (int axis = 0; axis < args.axes; ++axis) {
    require(args.positions[axis] != nullptr, kOp, "positions for every axis");
  }
  require(args.inv_freq != nullptr && args.cos_sin != nullptr, kOp, "frequencies and an output");
  if (args.length != RopeLength::kNone) {
    require(args.slots != nullptr && args.prompts != nullptr && args.original_length > 0, kOp,
            "slots, prompts and an original length for a rope that depends on a length");
  }
  if (args.length == RopeLength::kLong) {
    require(args.long_inv_freq != nullptr, kOp, "long frequencies for long rope");
  }
  if (args.length == RopeLength::kDynamic || args.length == RopeLength::kPowers) {
    require(args.dim > 2 && args.theta > 0, kOp, "theta and dim > 2 for dynamic rope");
    require(args.length == RopeLength::kPowers || args.factor > 0, kOp,
            "a factor for dynamic rope");
  }
  kernels.rope(args, stream);
}

}  // namespace tensormill
