#include "tokenizer/models/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/log_once.h"
#include "tokenizer/models/model.h"
#include "tokenizer/models/text_hash.h"
#include "tokenizer/raw_json.h"

namespace tensormill {

Vocabulary::Vocabulary(const JsonNode& object) {
  if (const auto raw = raw_text(object.value())) {
    if (!read_raw(*raw)) throw RawJsonUnclear();
    return;
  }
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

// False for all that deserves a message.
bool Vocabulary::read_raw(std::string_view json) {
  JsonScanner scanner(json);
  const size_t tokens = json.size() / 18;  // a guess
  reserve(tokens, tokens * 8);
  if (!scanner.take('{')) return false;
  if (scanner.take('}')) return scanner.at_end();
  do {
    std::string_view token;
    int64_t id = 0;
    if (!scanner.string(token) || !scanner.take(':') || !scanner.integer(id)) return false;
    if (id < 0 || id > kMaxTokenId) return false;
    const auto number = static_cast<int32_t>(id);
    if (number < id_bound() && by_id_[static_cast<size_t>(number)].bytes != kUnused) return false;
    Slot& slot = insert(token);
    if (slot.id >= 0) return false;
    slot.id = number;
    name(number, slot.text);
  } while (scanner.take(','));
  return scanner.take('}') && scanner.at_end();
}

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  texts_.reserve(bytes);
  by_id_.reserve(tokens);
  size_t slots = 16;
  while (slots < tokens * 2) slots *= 2;
  if (slots > slots_.size()) grow(slots);
}

void Vocabulary::grow(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    size_t at = slot.hash & (slots - 1);
    while (slots_[at].id >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = slot;
  }
}

uint32_t Vocabulary::hash(std::string_view token) {
  return static_cast<uint32_t>(text_hash(token));
}

// Where the token stands, or the free slot where it would.
size_t Vocabulary::slot_of(std::string_view token, uint32_t hash) const {
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].id >= 0 && (slots_[at].hash != hash || view(slots_[at].text) != token)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

Vocabulary::Slot& Vocabulary::insert(std::string_view token) {
  if ((size_ + 1) * 2 > slots_.size()) grow(std::max<size_t>(16, slots_.size() * 2));
  const uint32_t hash = Vocabulary::hash(token);
  Slot& slot = slots_[slot_of(token, hash)];
  if (slot.id >= 0) return slot;
  if (texts_.size() + token.size() >= kUnused) {
    throw_error(ErrorKind::kArtifactInvalid, "a vocabulary of more than 4 GiB of text");
  }
  slot.hash = hash;
  slot.text = {static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(token.size())};
  texts_.insert(texts_.end(), token.begin(), token.end());
  ++size_;
  return slot;
}

void Vocabulary::name(int32_t id, Text text) {
  if (static_cast<size_t>(id) >= by_id_.size()) by_id_.resize(static_cast<size_t>(id) + 1);
  by_id_[static_cast<size_t>(id)] = text;
}

void Vocabulary::add(std::string_view token, int32_t id) {
  Slot& slot = insert(token);
  if (slot.id >= 0) return;
  slot.id = id;
  name(id, slot.text);
}

void Vocabulary::set(std::string_view token, int32_t id) {
  Slot& slot = insert(token);
  slot.id = id;
  name(id, slot.text);
}

int32_t Vocabulary::find(std::string_view token, uint32_t hash) const {
  return slots_.empty() ? -1 : slots_[slot_of(token, hash)].id;
}

std::string_view Vocabulary::token(int32_t id) const {
  if (id < 0 || id >= id_bound()) return {};
  const Text& text = by_id_[static_cast<size_t>(id)];
  if (text.bytes == kUnused) return {};
  return text.bytes == 0 ? std::string_view("") : view(text);
}

}  // namespace tensormill
