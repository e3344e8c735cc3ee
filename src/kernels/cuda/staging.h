#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

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

  // For the current device. Errors: as check_cuda().
  StagingRing();
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  // The thread's piece of its turn 0, 1, 2, ..., when the device is done with it.
  Piece take(int thread, int64_t turn);

  // Calls f(piece, i) for each i below `count` on several threads. f fills the piece and enqueues
  // what the device does with it; work of different i may be enqueued in any order.
  template <class F>
  void each(int device, int64_t count, F&& f);

 private:
  // Frees what there is.
  void release();

  std::byte *host_ = nullptr, *device_ = nullptr;
  std::vector<cudaEvent_t> events_;
};

// Threads that one process should copy with, at most StagingRing::kThreads.
int staging_threads();

template <class F>
void StagingRing::each(int device, int64_t count, F&& f) {
  const int64_t limit = staging_threads();
  const int threads = static_cast<int>(count < limit ? count : limit);
  std::vector<std::exception_ptr> errors(static_cast<size_t>(threads));
  const auto work = [&](int thread) noexcept {
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
  {
    std::vector<std::jthread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
    if (threads > 0) work(0);
  }
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace tensormill
