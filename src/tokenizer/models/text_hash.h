#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace tensormill {

// A hash for tables in memory, eight bytes a step.
inline uint64_t text_hash(std::string_view text) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15u;
  uint64_t hash = text.size() * kFactor;
  const char* at = text.data();
  size_t left = text.size();
  const auto mix = [&](uint64_t part) {
    hash = (hash ^ part) * kFactor;
    hash ^= hash >> 32;
  };
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t part;
    std::memcpy(&part, at, 8);
    mix(part);
  }
  if (left > 0) {
    uint64_t part = 0;
    std::memcpy(&part, at, left);
    mix(part);
  }
  mix(0);  // the last bytes have only reached the high bits
  return hash;
}

}  // namespace tensormill
