// Chosen rows side by side.

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kThreads = 128;

template <int kCount>
__global__ void __launch_bounds__(kThreads)
    gather_rows(const float* from, const int32_t* rows, float* to, int32_t width, Live live) {
  release_next();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  if (row >= *live.count) return;
  from += static_cast<int64_t>(rows[row]) * width;
  to += row * width;
  const int step = gridDim.y * kThreads * kCount;
  for (int i = (blockIdx.y * kThreads + threadIdx.x) * kCount; i < width; i += step) {
    store_piece(to + i, load_piece<kCount>(from + i));
  }
}

}  // namespace

void cuda_gather(const float* from, const int32_t* rows, float* to, int32_t width, Live live,
                 CudaContext& context) {
  const bool fours = width % 4 == 0 && aligned(from, 16) && aligned(to, 16);
  const int pieces = fours ? width / 4 : width;
  const dim3 grid(live.bound, (pieces + kThreads - 1) / kThreads);
  launch(context, fours ? gather_rows<4> : gather_rows<1>, grid, kThreads, 0, from, rows, to, width,
         live);
}

}  // namespace tensormill
