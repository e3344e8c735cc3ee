#include "kernels/cuda/entries.h"

namespace tensormill {
namespace {

// Outputs of rows that the library stores in whole pieces. Others, an odd vocabulary's, it stores
// value by value.
constexpr int32_t kAligned = 8;
// Smaller weights are read in no time: splitting the inner dimension costs more than it saves.
constexpr int64_t kLarge = int64_t{8} << 20;  // values

}  // namespace

// Measured by rows and shapes: bench/RESULTS.md.
void cuda_linear(const LinearArgs& args, CudaContext& context) {
  const int32_t rows = args.live.bound, outputs = args.weight->outputs;
  if (rows == 0) return;
  const bool odd = outputs % kAligned != 0 && int64_t{outputs} * args.weight->inner >= kLarge;
  if (rows <= kFewRows && runs_few(args, context)) {
    cuda_linear_few(args, context);
  } else if (odd && rows <= kSomeRows && runs_some(args, context)) {
    cuda_linear_some(args, context);
  } else {
    cuda_linear_library(args, context);
  }
}

}  // namespace tensormill
