#include "tokenizer/models/word_piece.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace tensormill {
namespace {

DoubleArray trie_of(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, int32_t>> texts;
  texts.reserve(static_cast<size_t>(vocabulary.size()));
  for (int32_t id = 0; id < vocabulary.id_bound(); ++id) {
    const std::string_view token = vocabulary.token(id);
    if (!token.empty()) texts.emplace_back(token, vocabulary.find(token));
  }
  return DoubleArray(std::move(texts));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, WordPieceOptions options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      trie_(trie_of(vocabulary_)),
      inside_(trie_.walk(DoubleArray::kRoot, options_.prefix)),
      unk_id_(vocabulary_.find(options_.unk_token)) {}

// False when the word doesn't come out even; `out` then holds a part of it.
bool WordPiece::add_pieces(std::string_view word, std::vector<ModelToken>& out) const {
  for (size_t begin = 0; begin < word.size();) {
    DoubleArray::Node node = begin == 0 ? DoubleArray::kRoot : inside_;
    size_t end = begin;
    int32_t id = -1;
    for (size_t i = begin; i < word.size() && node != DoubleArray::kNone; ++i) {
      node = trie_.child(node, word[i]);
      if (node == DoubleArray::kNone || trie_.value(node) < 0) continue;
      id = trie_.value(node);
      end = i + 1;
    }
    if (id < 0) return false;
    out.push_back({id, static_cast<uint32_t>(end - begin)});
    begin = end;
  }
  return true;
}

void WordPiece::tokenize_text(std::string_view text, Scratch&, std::vector<ModelToken>& out) const {
  const size_t before = out.size();
  const bool fits =
      text.size() <= options_.max_characters || count_code_points(text) <= options_.max_characters;
  if (fits && add_pieces(text, out)) return;
  out.resize(before);
  if (unk_id_ < 0) {
    fail_unknown(text,
                 fmt::format("unk_token \"{}\" is not in the vocabulary", options_.unk_token));
  }
  out.push_back({unk_id_, static_cast<uint32_t>(text.size())});
}

std::unique_ptr<TokenModel> make_word_piece(const JsonNode& node) {
  WordPieceOptions options;
  options.unk_token = node.at("unk_token").text();
  options.prefix = node.at("continuing_subword_prefix").text();
  options.max_characters =
      static_cast<size_t>(node.at("max_input_chars_per_word").integer(0, INT64_MAX));
  return std::make_unique<WordPiece>(Vocabulary(node.at("vocab")), std::move(options));
}

}  // namespace tensormill
