#pragma once

#include <string>

#include "tokenizer/models/text_model.h"
#include "tokenizer/models/vocabulary.h"

namespace tensormill {

// Each piece is one token.
class WordLevel : public TextModel {
 public:
  WordLevel(Vocabulary vocabulary, std::string unk_token)
      : vocabulary_(std::move(vocabulary)),
        unk_token_(std::move(unk_token)),
        unk_id_(vocabulary_.find(unk_token_)) {}

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
  Vocabulary vocabulary_;
  std::string unk_token_;
  int32_t unk_id_;  // -1: not in the vocabulary
};

}  // namespace tensormill
