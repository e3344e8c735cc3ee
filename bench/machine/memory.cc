#include "machine/memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <new>
#include <sstream>
#include <string>

namespace tensormill {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

Pages::Pages(size_t bytes, bool huge) : bytes_(bytes) {
  void* at =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  mapped_ = static_cast<char*>(at);
  const auto address = reinterpret_cast<uintptr_t>(at);
  data_ = mapped_ + ((kHugePage - address % kHugePage) % kHugePage);
  madvise(mapped_, bytes + kHugePage, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

Pages::~Pages() {
  munmap(mapped_, bytes_ + kHugePage);
}

size_t Pages::huge_bytes() const {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (const size_t dash = key.find('-'); dash != std::string::npos && key.back() != ':') {
      const auto begin = std::stoull(key.substr(0, dash), nullptr, 16);
      const auto end = std::stoull(key.substr(dash + 1), nullptr, 16);
      const auto mine = reinterpret_cast<uintptr_t>(data_);
      inside = begin <= mine && mine < end;
    } else if (size_t kib = 0; inside && key == "AnonHugePages:" && words >> kib) {
      return kib << 10;
    }
  }
  return 0;
}

}  // namespace tensormill
