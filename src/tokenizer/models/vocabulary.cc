#include "tokenizer/models/vocabulary.h"

#include <fmt/format.h>

#include "base/json.h"
#include "tokenizer/models/model.h"

namespace tensormill {

Vocabulary::Vocabulary(const JsonNode& object) {
  object.expect_object();
  ids_.reserve(object.value().size());
  for (const auto& [token, id] : object.value().items()) {
    add(token, static_cast<int32_t>(JsonNode(id, object.file(), fmt::format("vocab[\"{}\"]", token))
                                        .integer(0, kMaxTokenId)));
  }
}

void Vocabulary::add(std::string token, int32_t id) {
  const auto [position, added] = ids_.emplace(std::move(token), id);
  if (!added) return;
  if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
  tokens_[static_cast<size_t>(id)] = &position->first;
}

std::optional<int32_t> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::string_view Vocabulary::token(int32_t id) const {
  if (id < 0 || id >= id_bound()) return {};
  const std::string* token = tokens_[static_cast<size_t>(id)];
  return token == nullptr ? std::string_view() : *token;
}

}  // namespace tensormill
