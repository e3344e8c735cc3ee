#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_node.h"

namespace tensormill {

// Ids of a vocabulary are below this, whatever a file says.
inline constexpr int64_t kMaxTokenId = (int64_t{1} << 24) - 1;

// In place of a length: the token stands where the one before it stands.
inline constexpr uint32_t kSamePlace = UINT32_MAX;

struct ModelToken {
  int32_t id;
  uint32_t bytes;  // of the piece, or kSamePlace; a piece's tokens follow each other
};

// What a model writes to while it tokenizes: caches, queues. One thread at a time.
class ModelScratch {
 public:
  virtual ~ModelScratch() = default;
};

// Turns a piece of text into tokens of the vocabulary. Immutable and thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  virtual std::unique_ptr<ModelScratch> make_scratch() const = 0;
  // Appends the tokens of `piece`; with byte_level its bytes stand for characters of the byte
  // alphabet, and token lengths count the piece's bytes all the same. kBadRequest for text that
  // the vocabulary has no token for, if the model names no token for such text.
  virtual void tokenize(std::string_view piece, bool byte_level, ModelScratch& scratch,
                        std::vector<ModelToken>& out) const = 0;

  virtual int32_t size() const = 0;      // how many tokens there are
  virtual int32_t id_bound() const = 0;  // the largest id + 1
  virtual std::optional<int32_t> id_of(std::string_view token) const = 0;
  virtual std::string_view token(int32_t id) const = 0;  // "" where unused
  // The id of tokens that go by the text they stand for: Unigram's unknown. -1: none.
  virtual int32_t verbatim_id() const { return -1; }
};

// From tokenizer.json's "model". Without a "type" it is the first of BPE, WordPiece, WordLevel and
// Unigram whose fields are there.
std::unique_ptr<TokenModel> make_model(const JsonNode& node);

// One function for each file of models/.
std::unique_ptr<TokenModel> make_bpe(const JsonNode& node);
std::unique_ptr<TokenModel> make_unigram(const JsonNode& node);
std::unique_ptr<TokenModel> make_word_level(const JsonNode& node);
std::unique_ptr<TokenModel> make_word_piece(const JsonNode& node);

}  // namespace tensormill
