#pragma once

#include <cstdint>
#include <string>

namespace tensormill {

// The process of this machine that listens on a TCP port; 0 where there is none, or its files may
// not be read.
int listener_of(const std::string& port);

struct ProcessMemory {
  int64_t anonymous = 0;  // bytes of its own, as now
  int64_t peak = 0;       // most bytes that were resident at once, mapped files included
};
// Zeros where the system doesn't say.
ProcessMemory memory_of(int process);

}  // namespace tensormill
