#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace tensormill {

// A trie over bytes in one array: the child of a node for byte b stands at its base + b, and names
// the node as its parent. Made once.
class DoubleArray {
 public:
  using Node = int32_t;
  static constexpr Node kRoot = 0, kNone = -1;

  DoubleArray() = default;
  // Texts with what they stand for (not negative); of equal texts the last one counts. An empty
  // text is left out. kArtifactInvalid beyond some hundred MB of text.
  explicit DoubleArray(std::vector<std::pair<std::string_view, int32_t>> texts);

  Node child(Node node, char byte) const {
    const auto at =
        static_cast<size_t>(units_[static_cast<size_t>(node)].base) + static_cast<uint8_t>(byte);
    return at < units_.size() && units_[at].parent == node ? static_cast<Node>(at) : kNone;
  }
  int32_t value(Node node) const { return units_[static_cast<size_t>(node)].value; }  // -1: none
  Node walk(Node node, std::string_view text) const;

 private:
  struct Unit {
    int32_t base = 0, parent = kNone, value = -1;
  };
  struct Range;
  class Builder;
  std::vector<Unit> units_{1};
};

}  // namespace tensormill
