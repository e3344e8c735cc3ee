#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/active_request.h"

namespace tensormill {

// What other threads want of the engine's thread. Between steps that one looks at an atomic; it
// takes the lock only when there is something, and sleeps only when it has nothing to do.
class Mailbox {
 public:
  struct Letters {
    std::vector<std::unique_ptr<ActiveRequest>> requests;
    std::vector<uint64_t> cancels;
    bool wake = false;  // look at the engine's flags
  };

  void submit(std::unique_ptr<ActiveRequest> request);
  void cancel(uint64_t request);
  void wake();

  bool empty() const { return !full_.load(std::memory_order_acquire); }
  // Swaps the letters out; `letters` must be empty.
  void take(Letters& letters);
  void wait();  // until there is a letter

 private:
  void notify();

  std::atomic<bool> full_ = false;
  std::mutex mutex_;
  std::condition_variable arrived_;
  Letters letters_;
};

}  // namespace tensormill
