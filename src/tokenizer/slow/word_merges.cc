#include "tokenizer/slow/word_merges.h"

#include "base/error.h"
#include "base/utf8.h"

namespace tensormill {
namespace {

constexpr size_t kMaxWord = 20000;  // characters; merging takes time by the square

}  // namespace

WordMerges::WordMerges(const FileMerges& merges) : table_(merges.size()) {
  for (const auto& [left, right] : merges) {
    const int32_t left_id = intern(left), right_id = intern(right);
    table_.add(left_id, right_id, intern(left + right));
  }
}

std::vector<std::string> WordMerges::apply(std::string_view word) const {
  struct Symbol {
    int32_t id;
    std::string text;
  };
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < word.size();) {
    const size_t bytes = utf8_length(word[at]);
    std::string text(word.substr(at, bytes));
    at += bytes;
    if (at >= word.size()) text += "</w>";
    symbols.push_back({id_of(text), std::move(text)});
  }
  if (symbols.size() > kMaxWord) {
    throw_error(ErrorKind::kBadRequest, "a word of {} characters, at most {} can be tokenized",
                symbols.size(), kMaxWord);
  }
  while (symbols.size() > 1) {
    int32_t best = MergeTable::kNone, left = 0, right = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (symbols[i].id < 0 || symbols[i + 1].id < 0) continue;
      const int32_t rank = table_.find(symbols[i].id, symbols[i + 1].id);
      if (rank >= best) continue;
      best = rank;
      left = symbols[i].id;
      right = symbols[i + 1].id;
    }
    if (best == MergeTable::kNone) break;
    size_t kept = 0;
    for (size_t i = 0; i < symbols.size(); ++i, ++kept) {
      if (symbols[i].id == left && i + 1 < symbols.size() && symbols[i + 1].id == right) {
        symbols[i].text += symbols[i + 1].text;
        symbols[i].id = table_.id(best);
        if (kept != i) symbols[kept] = std::move(symbols[i]);
        ++i;
      } else if (kept != i) {
        symbols[kept] = std::move(symbols[i]);
      }
    }
    symbols.resize(kept);
  }
  std::vector<std::string> texts;
  for (Symbol& symbol : symbols) texts.push_back(std::move(symbol.text));
  return texts;
}

int32_t WordMerges::intern(const std::string& text) {
  return ids_.emplace(text, static_cast<int32_t>(ids_.size())).first->second;
}

int32_t WordMerges::id_of(const std::string& text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? -1 : found->second;
}

}  // namespace tensormill
