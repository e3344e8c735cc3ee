#include "tokenizer/models/word_cache.h"

#include <algorithm>
#include <cstring>

namespace tensormill {

size_t WordCache::slot_of(std::string_view word) const {
  uint64_t parts[3] = {0, 0, 0};
  std::memcpy(parts, word.data(), word.size());
  uint64_t hash = word.size();
  for (const uint64_t part : parts) {
    hash = (hash ^ part) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
  }
  return hash & (kSlots - 1);
}

bool WordCache::find(std::string_view word, bool byte_level, std::vector<ModelToken>& out) const {
  if (word.empty() || word.size() > kWordBytes) return false;
  const Slot& slot = slots_[slot_of(word)];
  if (slot.word_bytes != word.size() || (slot.byte_level != 0) != byte_level ||
      std::memcmp(slot.word.data(), word.data(), word.size()) != 0) {
    return false;
  }
  for (size_t i = 0; i < slot.count; ++i) {
    out.push_back({slot.ids[i], slot.bytes[i] == UINT8_MAX ? kSamePlace : slot.bytes[i]});
  }
  return true;
}

void WordCache::store(std::string_view word, bool byte_level,
                      const std::vector<ModelToken>& tokens) {
  if (word.empty() || word.size() > kWordBytes || tokens.size() > kTokens) return;
  Slot& slot = slots_[slot_of(word)];
  std::copy(word.begin(), word.end(), slot.word.begin());
  for (size_t i = 0; i < kTokens && i < tokens.size(); ++i) {
    slot.ids[i] = tokens[i].id;
    slot.bytes[i] = static_cast<uint8_t>(tokens[i].bytes);
  }
  slot.word_bytes = static_cast<uint8_t>(word.size());
  slot.count = static_cast<uint8_t>(tokens.size());
  slot.byte_level = byte_level ? 1 : 0;
}

}  // namespace tensormill
