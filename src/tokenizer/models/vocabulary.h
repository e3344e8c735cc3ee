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
  int32_t find(std::string_view token) const {  // -1 when it isn't there
    return find(token, hash(token));
  }
  std::string_view token(int32_t id) const;                     // data() is null where unused
  int32_t size() const { return static_cast<int32_t>(size_); }  // different tokens
  int32_t id_bound() const { return static_cast<int32_t>(by_id_.size()); }

  // For many lookups in a row: the table's line is fetched while others are looked up.
  static uint32_t hash(std::string_view token);
  void prefetch(uint32_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }
  int32_t find(std::string_view token, uint32_t hash) const;

 private:
  struct Text {
    uint32_t begin = 0, bytes = kUnused;  // in texts_
  };
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;  // -1: free
    Text text;
  };
  static constexpr uint32_t kUnused = UINT32_MAX;
  std::string_view view(const Text& text) const { return {texts_.data() + text.begin, text.bytes}; }
  bool read_raw(std::string_view json);
  size_t slot_of(std::string_view token, uint32_t hash) const;
  Slot& insert(std::string_view token);  // a new one has no id
  void name(int32_t id, Text text);
  void grow(size_t slots);

  std::vector<char> texts_;
  std::vector<Slot> slots_;  // open addressing, a power of two
  std::vector<Text> by_id_;
  size_t size_ = 0;
};

}  // namespace tensormill
