#include "cli/bench_memory.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

namespace tensormill {

int64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    int64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib << 10;
  }
  return 0;
}

AnonymousPeak::AnonymousPeak() : thread_([this] { loop(); }) {}

AnonymousPeak::~AnonymousPeak() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void AnonymousPeak::watch() {
  {
    const std::lock_guard lock(mutex_);
    watching_ = true;
  }
  changed_.notify_all();
}

void AnonymousPeak::rest() {
  const std::lock_guard lock(mutex_);
  watching_ = false;
}

void AnonymousPeak::look() {
  const int64_t now = anonymous_bytes();
  const std::lock_guard lock(mutex_);
  most_ = std::max(most_, now);
}

int64_t AnonymousPeak::bytes() const {
  const std::lock_guard lock(mutex_);
  return most_;
}

void AnonymousPeak::loop() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    changed_.wait(lock, [this] { return watching_ || ends_; });
    changed_.wait_for(lock, std::chrono::milliseconds(10), [this] { return ends_; });
    lock.unlock();
    look();
    lock.lock();
  }
}

}  // namespace tensormill
