#pragma once

namespace tensormill {

// While it lives, Ctrl-C and SIGTERM end downloads in an orderly way; a second one ends the
// program.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*interrupt_)(int);
  void (*terminate_)(int);
};

}  // namespace tensormill
