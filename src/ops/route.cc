#include "ops/route.h"

#include "ops/check.h"

namespace tensormill {

void route(const KernelTable& kernels, const RouteArgs& args, Stream stream) {
  constexpr const char* kOp = "route";
  require_live(args.live, kOp);
  require(args.logits != nullptr, kOp, "logits");
  require_routes(args.routes, args.experts, args.active, kOp);
  require(args.groups > 0 && args.experts % args.groups == 0, kOp, "experts in equal groups");
  const int32_t length = args.experts / args.groups;
  require(args.active_groups > 0 && args.active_groups <= args.groups, kOp,
          "active_groups of at most groups");
  require(args.group_best > 0 && args.group_best <= length, kOp, "group_best within a group");
  require(args.active <= args.active_groups * length, kOp, "enough experts in the active groups");
  kernels.route(args, stream);
}

}  // namespace tensormill
