#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/json_node.h"

namespace tensormill {

// Merges of BPE from the most to the least important: pairs of texts, all in one buffer.
class MergeList {
 public:
  void reserve(size_t merges) { merges_.reserve(merges); }
  // kArtifactInvalid beyond 4 GiB of text.
  void emplace_back(std::string_view left, std::string_view right);

  size_t size() const { return merges_.size(); }
  bool empty() const { return merges_.empty(); }
  std::pair<std::string_view, std::string_view> operator[](size_t i) const {
    const Merge& merge = merges_[i];
    const char* left = texts_.data() + merge.begin;
    return {{left, merge.left}, {left + merge.left, merge.right}};
  }
  // Both texts as they stand, one behind the other.
  std::string_view joined(size_t i) const {
    return {texts_.data() + merges_[i].begin, merges_[i].left + merges_[i].right};
  }

 private:
  struct Merge {
    uint32_t begin, left, right;  // bytes
  };
  std::vector<char> texts_;
  std::vector<Merge> merges_;
};

// From tokenizer.json's "merges": "left right" or ["left", "right"]. kArtifactInvalid.
MergeList read_merges(const JsonNode& node);

}  // namespace tensormill
