#include "engine/mailbox.h"

#include <utility>

namespace tensormill {

void Mailbox::submit(std::unique_ptr<ActiveRequest> request) {
  const std::lock_guard lock(mutex_);
  letters_.requests.push_back(std::move(request));
  notify();
}

void Mailbox::cancel(uint64_t request) {
  const std::lock_guard lock(mutex_);
  letters_.cancels.push_back(request);
  notify();
}

void Mailbox::wake() {
  const std::lock_guard lock(mutex_);
  letters_.wake = true;
  notify();
}

void Mailbox::take(Letters& letters) {
  const std::lock_guard lock(mutex_);
  std::swap(letters, letters_);
  full_.store(false, std::memory_order_release);
}

void Mailbox::wait() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return !empty(); });
}

void Mailbox::notify() {
  full_.store(true, std::memory_order_release);
  arrived_.notify_one();
}

}  // namespace tensormill
