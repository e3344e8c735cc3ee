#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// sentencepiece's precompiled rules of replacement: a double-array trie over UTF-8, and texts that
// its values point into. Immutable and thread-safe.
class Charsmap {
 public:
  // `blob`: size of the trie in bytes (u32, little-endian), its units (u32), texts ended by '\0'.
  // kArtifactInvalid with `origin` where it is cut, no UTF-8 or points out of itself.
  Charsmap(std::string_view blob, const std::string& origin);

  // What the shortest of the prefixes of `text` that the trie knows becomes.
  std::optional<std::string_view> find(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace tensormill
