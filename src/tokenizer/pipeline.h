#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/decoders/decoder.h"
#include "tokenizer/infilling.h"
#include "tokenizer/models/model.h"
#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/processors/processor.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

// The stages of a tokenizer; all but the model and the decoder may be null.
struct PipelineParts {
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<Normalizer> old_normalizer;  // of added tokens' texts, where that is another one
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  std::unique_ptr<Processor> processor;
  std::unique_ptr<Decoder> decoder;
  AddedTokens added;
  std::map<std::string, std::string, std::less<>> specials;  // "bos_token" -> text
  std::optional<Truncation> truncation;                      // what tokenizer.json says
  std::unique_ptr<Infilling> infilling;                      // of classes that fill gaps
  bool clean_up_spaces = false;  // " ." becomes "." and the like in decoded text
};

// Added tokens, normalizer, pre-tokenizer, model, processor; and back through the decoder.
class Pipeline : public Tokenizer {
 public:
  explicit Pipeline(PipelineParts parts);
  ~Pipeline() override;

  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override;
  std::optional<Truncation> truncation() const override { return parts_.truncation; }
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special) const override;
  int32_t vocabulary_size() const override;
  std::optional<int32_t> id_of(std::string_view token) const override;
  std::string token(int32_t id) const override;
  bool is_special(int32_t id) const override;
  std::string special(std::string_view name) const override;

 private:
  class Stream;
  class BorrowedScratch;
  void add_texts(const Piece& piece, bool byte_level, const std::vector<ModelToken>& tokens,
                 Encoding& out) const;
  // Tokens of the request's text number `number`, without a post-processor's.
  Encoding encode_one(std::string_view text, const Normalizer* normalizer, int32_t number,
                      bool details) const;
  Encoding encode_with(const EncodeRequest& request, const Normalizer* normalizer,
                       const Processor* processor) const;
  void name_special_tokens(Encoding& encoding) const;
  std::string_view token_view(int32_t id) const;

  PipelineParts parts_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<ModelScratch>> idle_;  // as many as encode() ran at once
};

}  // namespace tensormill
