#pragma once

#include <string>

#include "tokenizer/models/double_array.h"
#include "tokenizer/models/text_model.h"
#include "tokenizer/models/vocabulary.h"

namespace tensormill {

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string prefix = "##";  // of tokens that continue a word
  size_t max_characters = 100;
};

// The longest token that a word starts with, then the longest that continues it. A word that
// doesn't come out even, or is longer than max_characters, is unknown as a whole.
class WordPiece : public TextModel {
 public:
  WordPiece(Vocabulary vocabulary, WordPieceOptions options);

  int32_t size() const override { return vocabulary_.size(); }
  int32_t id_bound() const override { return vocabulary_.id_bound(); }
  std::optional<int32_t> id_of(std::string_view token) const override {
    return vocabulary_.id_of(token);
  }
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }

 protected:
  void tokenize_text(std::string_view text, Scratch& scratch,
                     std::vector<ModelToken>& out) const override;

 private:
  bool add_pieces(std::string_view word, std::vector<ModelToken>& out) const;

  Vocabulary vocabulary_;
  WordPieceOptions options_;
  DoubleArray trie_;
  DoubleArray::Node inside_;  // where tokens that continue a word start; kNone: there are none
  int32_t unk_id_;            // -1: not in the vocabulary
};

}  // namespace tensormill
