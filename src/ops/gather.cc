#include "ops/gather.h"

#include "ops/check.h"

namespace tensormill {

void gather(const KernelTable& kernels, const float* from, const int32_t* rows, float* to,
            int32_t width, Live live, Stream stream) {
  constexpr const char* kOp = "gather";
  require_live(live, kOp);
  require(from != nullptr && rows != nullptr && to != nullptr && width > 0, kOp,
          "rows of positive width");
  kernels.gather(from, rows, to, width, live, stream);
}

}  // namespace tensormill
