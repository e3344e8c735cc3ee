#include "kernels/cuda/entries.h"

namespace tensormill {

void cuda_linear(const LinearArgs& args, CudaContext& context) {
  if (args.live.bound == 0) return;
  if (args.live.bound <= kFewRows && runs_few(args, context)) {
    cuda_linear_few(args, context);
  } else if (args.live.bound <= kSomeRows && runs_some(args, context)) {
    cuda_linear_some(args, context);
  } else {
    cuda_linear_library(args, context);
  }
}

}  // namespace tensormill
