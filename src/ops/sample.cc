#include "ops/sample.h"

#include "ops/check.h"

namespace tensormill {

void sample(const KernelTable& kernels, const SampleArgs& args, Stream stream) {
  constexpr const char* kOp = "sample";
  require_live(args.live, kOp);
  require(kernels.sample != nullptr, kOp, "a device that chooses tokens");
  require(args.vocabulary > 0, kOp, "a positive vocabulary");
  require(args.history_stride > 0, kOp, "room for a token in the history");
  require(args.logits != nullptr && args.rows != nullptr && args.history != nullptr &&
              args.results != nullptr,
          kOp, "logits, rows, a history and results");
  kernels.sample(args, stream);
}

}  // namespace tensormill
