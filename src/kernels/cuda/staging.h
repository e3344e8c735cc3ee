#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

#include "base/thread_team.h"

namespace tensormill {

// Pinned memory of the host, and as much of the device's, through which weights travel while a
// model loads. Each of several threads fills pieces of its own in turn.
class StagingRing {
 public:
  static constexpr int kThreads = 8, kPieces = 2;  // kPieces of each thread
  static constexpr size_t kBytes = size_t{4} << 20;

  struct Piece {
    std::byte *host, *device;  // [kBytes]
    cudaEvent_t done;          // of the last that was enqueued on the piece
  };

  // For the current device. Errors: as check_cuda() and ThreadTeam.
  StagingRing();
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  int threads() const { return team_.size(); }

  // Calls f(piece, i) for each i below `count` on several threads. f fills the piece and enqueues
  // what the device does with it; work of different i may be enqueued in any order.
  template <class F>
  void each(int device, int64_t count, F&& f);

 private:
  // The thread's piece of its turn 0, 1, 2, ..., when the device is done with it.
  Piece take(int thread, int64_t turn);
  // Frees what there is.
  void release();

  ThreadTeam team_;  // stays: a thread's first call of CUDA is slow
  std::byte *host_ = nullptr, *device_ = nullptr;
  std::vector<cudaEvent_t> events_;
};

template <class F>
void StagingRing::each(int device, int64_t count, F&& f) {
  std::array<std::exception_ptr, kThreads> errors;
  const int64_t threads = std::min<int64_t>(count, team_.size());
  auto work = [&](int thread) noexcept {
    if (thread >= threads) return;
    try {
      cudaSetDevice(device);
      for (int64_t i = thread, turn = 0; i < count; i += threads, ++turn) {
        const Piece piece = take(thread, turn);
        f(piece, i);
      }
    } catch (...) {
      errors[static_cast<size_t>(thread)] = std::current_exception();
    }
  };
  using Work = decltype(work);
  team_.run([](void* job, int thread) { (*static_cast<Work*>(job))(thread); }, &work);
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace tensormill
