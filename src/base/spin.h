#pragma once

namespace tensormill {

// Tells the core that it spins, so that its twin thread gets the units and power is saved. A hint
// of the processor, not a choice of device: nothing else in base/ asks what it runs on.
inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace tensormill
