#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tensormill {

// A folder of its own that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("tokenizer_test_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

inline std::string base64_decode(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const uint32_t value = c >= 'a'   ? static_cast<uint32_t>(c - 'a' + 26)
                           : c >= 'A' ? static_cast<uint32_t>(c - 'A')
                           : c >= '0' ? static_cast<uint32_t>(c - '0' + 52)
                           : c == '+' ? 62
                                      : 63;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) out.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return out;
}

// The ids that tools/golden/tokenizer/make_golden.py packed.
inline std::vector<int32_t> unpack_ids(std::string_view text) {
  std::vector<int32_t> ids;
  int64_t last = 0, value = 0;
  int shift = 0;
  for (const char c : base64_decode(text)) {
    const auto byte = static_cast<uint8_t>(c);
    value |= static_cast<int64_t>(byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    last += value & 1 ? -(value + 1) / 2 : value / 2;
    ids.push_back(static_cast<int32_t>(last));
    value = 0;
    shift = 0;
  }
  return ids;
}

inline std::string fnv(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const char c : text) value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  char buffer[17];
  std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(value));
  return buffer;
}

inline Json read_golden(const std::string& name) {
  return read_json_file(std::filesystem::path(TENSORMILL_GOLDEN) / "tokenizer" / name);
}

}  // namespace tensormill
