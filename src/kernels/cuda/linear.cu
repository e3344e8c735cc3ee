#include "kernels/cuda/entries.h"

namespace tensormill {
namespace {

// Smaller weights are read in no time: there splitting the inner dimension over blocks costs more
// than it saves.
constexpr int64_t kLarge = int64_t{8} << 20;  // values
constexpr int32_t kFewOfLarge = 8, kSomeOfLarge = 16;
// The library stores rows of an odd width value by value.
constexpr int32_t kAligned = 8;

}  // namespace

// Measured by rows and shapes: bench/RESULTS.md.
void cuda_linear(const LinearArgs& args, CudaContext& context) {
  const int32_t rows = args.live.bound, outputs = args.weight->outputs;
  if (rows == 0) return;
  const bool large = int64_t{outputs} * args.weight->inner >= kLarge;
  const int32_t few = large ? kFewOfLarge : kFewRows;
  const int32_t some = !large ? 0 : outputs % kAligned == 0 ? kSomeOfLarge : kSomeRows;
  if (rows <= few && runs_few(args, context)) {
    cuda_linear_few(args, context);
  } else if (rows <= some && runs_some(args, context)) {
    cuda_linear_some(args, context);
  } else {
    cuda_linear_library(args, context);
  }
}

}  // namespace tensormill
