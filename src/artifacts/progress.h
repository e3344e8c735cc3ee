#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace tensormill {

// 1536 -> "1.5 kB"; powers of 1000.
std::string bytes_text(double bytes);

// Tells how far a transfer is: a terminal gets a line that moves, a log a line every few seconds.
class Progress {
 public:
  // `total` 0: unknown. `every_second` is called from the thread that tells.
  Progress(std::string label, int64_t total, std::function<void()> every_second);
  ~Progress();  // tells once more how far it came, if it told anything
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(int64_t bytes) { done_ += bytes; }  // negative where bytes have to come again

 private:
  void run();
  std::string text() const;

  std::string label_;
  int64_t total_;
  std::function<void()> every_second_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<int64_t> done_{0};
  std::atomic<bool> ending_{false};
  bool terminal_, shown_ = false;
  std::thread thread_;
};

}  // namespace tensormill
