#include "kernels/cuda/entries.h"

namespace tensormill {
namespace {

// Outputs of rows that the library stores in whole pieces. Others, an odd vocabulary's, it stores
// value by value.
constexpr int32_t kAligned = 8;
// Smaller weights are read in no time: splitting the inner dimension costs more than it saves.
constexpr int64_t kLarge = int64_t{8} << 20;  // values
// Rows up to which large weights keep the memory busy in linear_some.cu on Hopper.
constexpr int32_t kHopperRows = 64;
// Inner dimensions that a block of linear_wave.cu has behind it fast enough.
constexpr int32_t kShortInner = 1024;

}  // namespace

// Measured by rows and shapes: bench/RESULTS.md.
void cuda_linear(const LinearArgs& args, CudaContext& context) {
  const int32_t rows = args.live.bound, outputs = args.weight->outputs;
  if (rows == 0) return;
  const bool hopper = context.major == 9;
  const bool large = int64_t{outputs} * args.weight->inner >= kLarge;
  const bool odd = large && outputs % kAligned != 0;
  const bool some = odd || (large && hopper && rows <= kHopperRows);
  if (rows <= kFewRows && runs_few(args, context)) {
    cuda_linear_few(args, context);
  } else if ((!large || (odd && args.weight->inner <= kShortInner)) && runs_wave(args, context)) {
    cuda_linear_wave(args, context);
  } else if (some && rows <= kSomeRows && runs_some(args, context)) {
    cuda_linear_some(args, context);
  } else {
    cuda_linear_library(args, context);
  }
}

}  // namespace tensormill
