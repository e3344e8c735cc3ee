// Copies by a kernel, for what is too small to be worth a copy engine: work before and behind it
// would have to wait for that.

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr size_t kMost = size_t{64} << 10;
constexpr int kThreads = 256;
constexpr int64_t kPiece = sizeof(uint4);

// The host's memory stays as it is, so it is read early. Later kernels may read what is written
// here before they wait (launch.cuh), so none comes before it is there.
__global__ void __launch_bounds__(kThreads)
    copy_from_host(const uint8_t* from, uint8_t* to, int64_t bytes) {
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPiece;
  const bool inside = at < bytes;
  uint4 piece{};
  if (inside) piece = __ldcv(reinterpret_cast<const uint4*>(from + at));
  wait_for_previous();
  if (inside) *reinterpret_cast<uint4*>(to + at) = piece;
  __threadfence();
  __syncthreads();
  release_next();
}

}  // namespace

bool cuda_copy_from_host(void* to, const void* from, size_t bytes, const CudaContext& context) {
  if (bytes > kMost || bytes % kPiece != 0 || !aligned(from, kPiece) || !aligned(to, kPiece)) {
    return false;
  }
  constexpr size_t kOfBlock = kThreads * kPiece;
  launch(context, copy_from_host, static_cast<uint32_t>((bytes + kOfBlock - 1) / kOfBlock),
         kThreads, 0, static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to), bytes);
  return true;
}

}  // namespace tensormill
