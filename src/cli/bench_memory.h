#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace tensormill {

// Bytes of this process's own memory, huge pages included, files that are mapped left out; 0 where
// the system doesn't say.
int64_t anonymous_bytes();

// The most of it, looked at every 10 ms between watch() and rest(), and whenever look() is called:
// the system keeps no such peak itself.
class AnonymousPeak {
 public:
  AnonymousPeak();
  ~AnonymousPeak();
  AnonymousPeak(const AnonymousPeak&) = delete;
  AnonymousPeak& operator=(const AnonymousPeak&) = delete;

  void watch();
  void rest();  // so that it doesn't disturb what is measured
  void look();
  int64_t bytes() const;

 private:
  void loop();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool watching_ = false, ends_ = false;
  int64_t most_ = 0;
  std::thread thread_;
};

}  // namespace tensormill
