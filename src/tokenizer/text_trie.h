#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace tensormill {

// Finds the longest of many texts at a position.
class TextTrie {
 public:
  TextTrie() : nodes_(1) {}

  // A text that is there keeps its id.
  void add(std::string_view text, int32_t id) {
    if (text.empty()) return;
    starts_[static_cast<uint8_t>(text[0])] = true;
    int32_t node = 0;
    for (const char c : text) {
      int32_t next = child(node, c);
      if (next < 0) {
        next = static_cast<int32_t>(nodes_.size());
        nodes_[static_cast<size_t>(node)].children.emplace_back(c, next);
        nodes_.emplace_back();
      }
      node = next;
    }
    int32_t& place = nodes_[static_cast<size_t>(node)].id;
    if (place < 0) place = id;
  }

  // Found wherever no other text is: at every place and at the end.
  void add_empty(int32_t id) {
    if (nodes_[0].id < 0) nodes_[0].id = id;
  }

  bool empty() const { return nodes_.size() == 1 && nodes_[0].id < 0; }

  // The next place from `at` on where one of the texts starts, the longest there; id < 0: none.
  struct Found {
    size_t begin = 0, end = 0;
    int32_t id = -1;
  };
  Found find(std::string_view text, size_t at) const {
    const int32_t everywhere = nodes_[0].id;
    if (everywhere >= 0 && at == text.size()) return {at, at, everywhere};
    for (; at < text.size(); ++at) {
      if (everywhere < 0 && !starts_[static_cast<uint8_t>(text[at])]) continue;
      Found found{at, at, everywhere};
      int32_t node = 0;
      for (size_t i = at; i < text.size(); ++i) {
        node = child(node, text[i]);
        if (node < 0) break;
        if (nodes_[static_cast<size_t>(node)].id >= 0) {
          found = {at, i + 1, nodes_[static_cast<size_t>(node)].id};
        }
      }
      if (found.id >= 0) return found;
    }
    return {};
  }

 private:
  struct Node {
    int32_t id = -1;
    std::vector<std::pair<char, int32_t>> children;
  };
  int32_t child(int32_t node, char c) const {
    for (const auto& [key, next] : nodes_[static_cast<size_t>(node)].children) {
      if (key == c) return next;
    }
    return -1;
  }

  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};
};

}  // namespace tensormill
