#pragma once

#include <memory>

#include "tokenizer/json_node.h"
#include "tokenizer/pre_tokenized.h"

namespace tensormill {

// Splits text into the pieces that the model sees. Immutable and thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(PreTokenized& text) const = 0;
  // Whether apply() asks where in the original a piece stands.
  virtual bool needs_places() const { return false; }
};

// From a value of tokenizer.json's "pre_tokenizer".
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node);

// One function for each file of pre_tokenizers/.
std::unique_ptr<PreTokenizer> make_bert_pre_tokenizer(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_byte_level_splitter(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_char_delimiter_split(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_digits(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_fixed_length(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_metaspace_splitter(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_pre_tokenizer_sequence(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_punctuation(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_split(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_unicode_scripts(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_whitespace(const JsonNode& node);
std::unique_ptr<PreTokenizer> make_whitespace_split(const JsonNode& node);

}  // namespace tensormill
