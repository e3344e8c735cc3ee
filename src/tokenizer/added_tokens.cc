#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// The place of the code point before `end`.
size_t previous(std::string_view text, size_t end) {
  do {
    --end;
  } while (end > 0 && is_utf8_continuation(text[end]));
  return end;
}

size_t skip_space_backwards(std::string_view text, size_t end) {
  while (end > 0) {
    size_t begin = previous(text, end);
    const size_t start = begin;
    if (!is_white_space(next_code_point(text, begin))) break;
    end = start;
  }
  return end;
}

size_t skip_space(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t end = begin;
    if (!is_white_space(next_code_point(text, end))) break;
    begin = end;
  }
  return begin;
}

bool word_starts(std::string_view text, size_t at) {
  return at < text.size() && is_word_character(next_code_point(text, at));
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  return (begin == 0 || !word_starts(text, previous(text, begin))) && !word_starts(text, end);
}

}  // namespace

AddedToken read_added_token(const JsonNode& node) {
  AddedToken token;
  token.content = node.at("content").text();
  token.special = node.flag_or("special", false);
  token.single_word = node.flag_or("single_word", false);
  token.lstrip = node.flag_or("lstrip", false);
  token.rstrip = node.flag_or("rstrip", false);
  token.normalized = node.flag_or("normalized", !token.special);
  return token;
}

void AddedTokens::add(std::span<const AddedToken> tokens, const TokenModel& model) {
  for (const AddedToken& token : tokens) {
    if (!token.special || token.content.empty()) continue;
    if (special_texts_.insert(token.content).second) specials_.push_back(token);
  }
  std::vector<bool> is_old;  // what this call changes before doesn't count
  for (const AddedToken& token : tokens) {
    const auto known = id_of(token.content);
    is_old.push_back(known && tokens_[*known] == token);
  }
  int32_t next = std::max(id_bound_, model.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const AddedToken& token = tokens[i];
    if (token.content.empty() || is_old[i]) continue;
    auto known = id_of(token.content);
    if (!known) known = model.id_of(token.content);
    const int32_t id = known ? *known : next++;
    ids_[token.content] = id;
    tokens_[id] = token;
    id_bound_ = std::max(id_bound_, id + 1);
    if (!is_special(token.content)) others_.push_back(token);
  }
}

void AddedTokens::finish(const Normalizer* normalizer) {
  verbatim_ = TextTrie();
  normalized_ = TextTrie();
  for (const auto* list : {&specials_, &others_}) {
    for (const AddedToken& token : *list) {
      const int32_t id = ids_.at(token.content);
      if (!token.normalized) {
        verbatim_.add(token.content, id);
        continue;
      }
      Normalized text(token.content, 0, false);
      if (normalizer != nullptr) normalizer->apply(text);
      normalized_.add(text.text(), id);
      if (text.text().empty()) normalized_.add_empty(id);
    }
  }
}

void AddedTokens::split(PreTokenized& text, const Normalizer* normalizer) const {
  if (!verbatim_.empty()) {
    text.split(
        [&](const Piece& piece, std::vector<Piece>& out) { split_piece(piece, verbatim_, out); });
  }
  if (normalizer == nullptr && normalized_.empty()) return;
  text.split([&](const Piece& given, std::vector<Piece>& out) {
    Piece piece = given;
    if (normalizer != nullptr) {
      Normalized changed = text.open(given);
      normalizer->apply(changed);
      if (changed.changed()) piece = text.keep(std::move(changed));
    }
    split_piece(piece, normalized_, out);
  });
}

void AddedTokens::split_piece(const Piece& piece, const TextTrie& trie,
                              std::vector<Piece>& out) const {
  const std::string_view text = piece.text;
  size_t done = 0, at = 0;
  constexpr size_t kNowhere = static_cast<size_t>(-1);
  for (size_t last = kNowhere; at <= text.size() && !text.empty();) {
    const auto found = trie.find(text, at);
    if (found.id < 0) break;
    if (found.begin == found.end && found.end == last) {
      // A token of which the normalizer leaves nothing stands once at a place, and not right behind
      // another token.
      last = kNowhere;
      if (at < text.size()) {
        next_code_point(text, at);
      } else {
        ++at;
      }
      continue;
    }
    at = last = found.end;
    const AddedToken& token = tokens_.at(found.id);
    if (splits_special_ && is_special(token.content)) continue;
    // A token may start in the white space that the one before it took; as in the reference it
    // is found all the same.
    size_t begin = found.begin, end = found.end;
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(done, skip_space_backwards(text, begin));
    if (token.rstrip) end = skip_space(text, end);
    begin = std::min(begin, end);
    if (done < begin) out.push_back(slice(piece, done, begin));
    done = end;
    if (begin == end) continue;
    out.push_back(slice(piece, begin, end));
    out.back().token = found.id;
  }
  if (done < text.size()) out.push_back(slice(piece, done, text.size()));
}

std::optional<int32_t> AddedTokens::id_of(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const AddedToken* AddedTokens::token(int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

}  // namespace tensormill
