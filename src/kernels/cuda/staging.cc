#include "kernels/cuda/staging.h"

#include "kernels/cuda/context.h"

namespace tensormill {
namespace {

constexpr size_t kCount = size_t{StagingRing::kThreads} * StagingRing::kPieces;

}  // namespace

StagingRing::StagingRing() : team_(std::min(kThreads, usable_cores())) {
  try {
    void* memory = nullptr;
    check_cuda(cudaHostAlloc(&memory, kCount * kBytes, cudaHostAllocDefault), "cudaHostAlloc");
    host_ = static_cast<std::byte*>(memory);
    check_cuda(cudaMalloc(&memory, kCount * kBytes), "cudaMalloc");
    device_ = static_cast<std::byte*>(memory);
    for (size_t i = 0; i < kCount; ++i) {
      cudaEvent_t event = nullptr;
      check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
      events_.push_back(event);
    }
  } catch (...) {
    release();
    throw;
  }
}

StagingRing::~StagingRing() {
  for (const cudaEvent_t event : events_) cudaEventSynchronize(event);
  release();
}

void StagingRing::release() {
  for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  cudaFree(device_);
  cudaFreeHost(host_);
}

StagingRing::Piece StagingRing::take(int thread, int64_t turn) {
  const size_t index = static_cast<size_t>(thread * kPieces + turn % kPieces);
  check_cuda(cudaEventSynchronize(events_[index]), "cudaEventSynchronize");
  return {host_ + index * kBytes, device_ + index * kBytes, events_[index]};
}

}  // namespace tensormill
