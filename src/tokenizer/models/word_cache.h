#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/models/model.h"

namespace tensormill {

// Tokens of words seen before. Of fixed size: a word may push out another, long ones are left out.
class WordCache {
 public:
  WordCache() : slots_(kSlots) {}

  // Appends the word's tokens and returns true when they are known.
  bool find(std::string_view word, bool byte_level, std::vector<ModelToken>& out) const;
  void store(std::string_view word, bool byte_level, const std::vector<ModelToken>& tokens);

 private:
  static constexpr size_t kSlots = 1 << 14, kWordBytes = 24, kTokens = 7;
  struct Slot {  // one cache line
    std::array<char, kWordBytes> word;
    std::array<int32_t, kTokens> ids;
    std::array<uint8_t, kTokens> bytes;  // UINT8_MAX: kSamePlace
    uint8_t word_bytes = 0;              // 0: empty
    uint8_t count = 0;
    uint8_t byte_level = 0;
  };
  size_t slot_of(std::string_view word) const;

  std::vector<Slot> slots_;
};

}  // namespace tensormill
