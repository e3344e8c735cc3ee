#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/charsmap.h"
#include "tokenizer/decoders/decoder.h"
#include "tokenizer/models/double_array.h"
#include "tokenizer/sentencepiece_model.h"

namespace tensormill {

// sentencepiece's own processor, for the classes that call it: normalization with its options, the
// four kinds of models, byte fallback, and back. Immutable and thread-safe.
class SentencePiece {
 public:
  // kArtifactInvalid with `origin`: a model without an unknown piece or with broken rules.
  SentencePiece(SentencePieceModel model, const std::string& origin);
  SentencePiece(const SentencePiece&) = delete;
  SentencePiece& operator=(const SentencePiece&) = delete;

  // The pieces of valid UTF-8; what no piece stands for is a piece of its own.
  std::vector<std::string> encode(std::string_view text) const;

  int32_t size() const { return static_cast<int32_t>(model_.pieces.size()); }
  int32_t id_of(std::string_view piece) const;  // that of the unknown piece for any other text
  std::optional<int32_t> find(std::string_view piece) const;
  const std::string& piece(int32_t id) const { return model_.pieces[static_cast<size_t>(id)].text; }
  const SentencePieceModel& model() const { return model_; }

  // Pieces, each a token, to the text of all of them. Must not outlive this.
  std::unique_ptr<DecodeStep> make_decoder() const;

  std::string normalize(std::string_view text) const;

 private:
  class Decoder;
  struct Symbol;
  SentencePieceModel::PieceType type_of(int32_t id) const {
    return model_.pieces[static_cast<size_t>(id)].type;
  }
  size_t user_defined_at(std::string_view text) const;  // bytes of the longest one; 0: none
  // What stands for the begin of `text`, and how many bytes of it.
  std::pair<std::string_view, size_t> normalize_prefix(std::string_view text) const;
  void encode_unigram(std::string_view text, std::vector<std::string_view>& pieces) const;
  void encode_bpe(std::string_view text, std::vector<std::string_view>& pieces) const;
  void encode_characters(std::string_view text, std::vector<std::string_view>& pieces) const;
  void encode_words(std::string_view text, std::vector<std::string_view>& pieces) const;

  SentencePieceModel model_;
  std::optional<Charsmap> charsmap_;
  std::unordered_map<std::string_view, int32_t> reserved_;  // control, unknown and byte pieces
  DoubleArray trie_, user_defined_;                         // the others
  int32_t unk_id_ = 0;
  float min_score_ = 0, max_score_ = 0;
};

}  // namespace tensormill
