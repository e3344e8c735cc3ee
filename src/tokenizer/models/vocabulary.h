#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/json_node.h"

namespace tensormill {

// Tokens and their ids, both ways. Views of tokens live as long as nothing is added.
class Vocabulary {
 public:
  Vocabulary() = default;
  // {"token": id}. kArtifactInvalid for ids beyond kMaxTokenId; ids that two tokens share are
  // logged, the last one's text counts.
  explicit Vocabulary(const JsonNode& object);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  void reserve(size_t tokens, size_t bytes);
  void add(std::string_view token, int32_t id);  // a token that is there keeps its first id
  void set(std::string_view token, int32_t id);  // gets this id; the old one still names it
  std::optional<int32_t> id_of(std::string_view token) const {
    const int32_t id = find(token);
    return id < 0 ? std::nullopt : std::optional(id);
  }
  int32_t find(std::string_view token) const;  // -1 when it isn't there
  std::string_view token(int32_t id) const;    // data() is null where unused
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }  // different tokens
  int32_t id_bound() const { return static_cast<int32_t>(by_id_.size()); }

 private:
  struct Entry {
    uint32_t begin, bytes;  // in texts_
    int32_t id;
  };
  struct Slot {
    uint32_t hash = 0;
    int32_t entry = -1;
  };
  std::string_view text(const Entry& entry) const {
    return {texts_.data() + entry.begin, entry.bytes};
  }
  size_t slot_of(std::string_view token, uint32_t hash) const;
  int32_t insert(std::string_view token, bool& added);  // its entry
  void name(int32_t id, int32_t entry);
  void grow(size_t slots);

  std::vector<char> texts_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;     // open addressing, a power of two
  std::vector<int32_t> by_id_;  // entries, -1 where unused
};

}  // namespace tensormill
