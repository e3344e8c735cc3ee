#include "ops/experts.h"

#include "ops/check.h"

namespace tensormill {

void experts(const KernelTable& kernels, const ExpertsArgs& args, Stream stream) {
  constexpr const char* kOp = "experts";
  require_live(args.live, kOp);
  require_routes(args.routes, args.experts, args.active, kOp);
  const Packed &first = args.first, &second = args.second;
  require(first.data != nullptr && second.data != nullptr, kOp, "packed weights");
  require(first.format == second.format && kernels.stores(first.format), kOp,
          "one weight format that this device stores");
  require(first.inner > 0 && first.outputs > 0 && second.outputs == first.inner, kOp,
          "weights of positive sizes, the second as wide as the first's input");
  require(first.outputs == (args.gated ? 2 : 1) * second.inner, kOp,
          "as many first outputs as the second takes");
  for (const Rows& rows : {args.in, args.taken}) {
    require_input(kernels, rows, first.format, first.inner, kOp);
  }
  require_input(kernels, args.inner, second.format, second.inner, kOp);
  require_rows(args.inner, second.inner, kOp);
  require(args.out != nullptr && args.value != nullptr, kOp, "an output and scratch");
  kernels.experts(args, stream);
}

}  // namespace tensormill
