#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/models/merge_table.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {

// Merges of the words' characters, the last one with "</w>": all places of the pair of lowest rank
// at once, again and again. Immutable and thread-safe.
class WordMerges {
 public:
  explicit WordMerges(const FileMerges& merges);

  // The symbols of a word; "</w>" behind the last. kBadRequest for a word of over 20000 characters.
  std::vector<std::string> apply(std::string_view word) const;

 private:
  int32_t intern(const std::string& text);
  int32_t id_of(const std::string& text) const;

  MergeTable table_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace tensormill
