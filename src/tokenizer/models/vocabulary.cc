#include "tokenizer/models/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/log_once.h"
#include "tokenizer/models/model.h"
#include "tokenizer/models/text_hash.h"

namespace tensormill {

Vocabulary::Vocabulary(const JsonNode& object) {
  object.expect_object();
  reserve(object.value().size(), object.value().size() * 8);
  for (const auto& [token, id] : object.value().items()) {
    const int32_t number = static_cast<int32_t>(
        JsonNode(id, object.file(), fmt::format("vocab[\"{}\"]", token)).integer(0, kMaxTokenId));
    if (const std::string_view other = this->token(number); other.data() != nullptr) {
      warn_once(fmt::format("{}: \"{}\" and \"{}\" share the id {}", object.where(), other, token,
                            number));
    }
    set(token, number);
  }
}

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  texts_.reserve(bytes);
  entries_.reserve(tokens);
  by_id_.reserve(tokens);
  size_t slots = 16;
  while (slots < tokens * 2) slots *= 2;
  if (slots > slots_.size()) grow(slots);
}

void Vocabulary::grow(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.entry < 0) continue;
    size_t at = slot.hash & (slots - 1);
    while (slots_[at].entry >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = slot;
  }
}

// Where the token stands, or the free slot where it would.
size_t Vocabulary::slot_of(std::string_view token, uint32_t hash) const {
  size_t at = hash & (slots_.size() - 1);
  while (
      slots_[at].entry >= 0 &&
      (slots_[at].hash != hash || text(entries_[static_cast<size_t>(slots_[at].entry)]) != token)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

int32_t Vocabulary::insert(std::string_view token, bool& added) {
  if ((entries_.size() + 1) * 2 > slots_.size()) grow(std::max<size_t>(16, slots_.size() * 2));
  const auto hash = static_cast<uint32_t>(text_hash(token));
  Slot& slot = slots_[slot_of(token, hash)];
  added = slot.entry < 0;
  if (!added) return slot.entry;
  if (texts_.size() + token.size() > UINT32_MAX) {
    throw_error(ErrorKind::kArtifactInvalid, "a vocabulary of more than 4 GiB of text");
  }
  slot = {hash, static_cast<int32_t>(entries_.size())};
  entries_.push_back(
      {static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(token.size()), -1});
  texts_.insert(texts_.end(), token.begin(), token.end());
  return slot.entry;
}

void Vocabulary::name(int32_t id, int32_t entry) {
  if (static_cast<size_t>(id) >= by_id_.size()) by_id_.resize(static_cast<size_t>(id) + 1, -1);
  by_id_[static_cast<size_t>(id)] = entry;
}

void Vocabulary::add(std::string_view token, int32_t id) {
  bool added = false;
  const int32_t entry = insert(token, added);
  if (!added) return;
  entries_[static_cast<size_t>(entry)].id = id;
  name(id, entry);
}

void Vocabulary::set(std::string_view token, int32_t id) {
  bool added = false;
  const int32_t entry = insert(token, added);
  entries_[static_cast<size_t>(entry)].id = id;
  name(id, entry);
}

int32_t Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return -1;
  const Slot& slot = slots_[slot_of(token, static_cast<uint32_t>(text_hash(token)))];
  return slot.entry < 0 ? -1 : entries_[static_cast<size_t>(slot.entry)].id;
}

std::string_view Vocabulary::token(int32_t id) const {
  if (id < 0 || id >= id_bound()) return {};
  const int32_t entry = by_id_[static_cast<size_t>(id)];
  if (entry < 0) return {};
  const std::string_view found = text(entries_[static_cast<size_t>(entry)]);
  return found.data() == nullptr ? std::string_view("") : found;
}

}  // namespace tensormill
