#include "tokenizer/charsmap.h"

#include "base/error.h"
#include "base/utf8.h"

namespace tensormill {
namespace {

uint32_t read_u32(std::string_view blob, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(blob[at + i])) << (8 * i);
  }
  return value;
}

// The fields of a unit of the trie.
uint32_t label(uint32_t unit) {
  return unit & (0x80000000u | 0xff);
}
uint32_t offset(uint32_t unit) {
  return (unit >> 10) << ((unit & 0x200) >> 6);
}
bool has_leaf(uint32_t unit) {
  return (unit >> 8) & 1;
}
uint32_t value(uint32_t unit) {
  return unit & 0x7fffffff;
}

}  // namespace

Charsmap::Charsmap(std::string_view blob, const std::string& origin) {
  const auto fail = [&](std::string_view what) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}", origin, what);
  };
  if (blob.size() < 4) fail("expected the size of a trie in 4 bytes");
  const size_t units = read_u32(blob, 0) / 4;
  if (units == 0) fail("the trie has no units");
  if (units > (blob.size() - 4) / 4) fail("the trie is longer than the data");
  units_.reserve(units);
  for (size_t i = 0; i < units; ++i) units_.push_back(read_u32(blob, 4 + 4 * i));
  texts_ = blob.substr(4 + 4 * units);
  if (find_invalid_utf8(texts_) != std::string::npos) fail("the replacements are not UTF-8");
}

std::optional<std::string_view> Charsmap::find(std::string_view text) const {
  size_t node = offset(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size()) return std::nullopt;
    const uint32_t unit = units_[node];
    if (label(unit) != byte) return std::nullopt;
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) return std::nullopt;
    const size_t begin = value(units_[node]);
    if (begin > texts_.size()) return std::nullopt;
    const size_t end = texts_.find('\0', begin);
    return std::string_view(texts_).substr(begin, end == std::string::npos ? end : end - begin);
  }
  return std::nullopt;
}

}  // namespace tensormill
