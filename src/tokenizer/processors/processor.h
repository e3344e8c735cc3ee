#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_node.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

// An encoding and the text of each token: as in the vocabulary, but for an added token as it stood
// in the text. "" for tokens that a processor added.
struct TokenList {
  Encoding encoding;
  std::vector<std::string_view> texts;
};

// Finishes an encoding: special tokens around it, offsets. Immutable and thread-safe.
class Processor {
 public:
  virtual ~Processor() = default;
  virtual void apply(TokenList& tokens, bool add_special) const = 0;
};

// From a value of tokenizer.json's "post_processor".
std::unique_ptr<Processor> make_processor(const JsonNode& node);

// One function for each file of processors/.
std::unique_ptr<Processor> make_bert_processing(const JsonNode& node);
std::unique_ptr<Processor> make_byte_level_processor(const JsonNode& node);
std::unique_ptr<Processor> make_processor_sequence(const JsonNode& node);
std::unique_ptr<Processor> make_roberta_processing(const JsonNode& node);
std::unique_ptr<Processor> make_template_processing(const JsonNode& node);

// A template of `before`, the text, `after`.
std::unique_ptr<Processor> make_template(std::vector<int32_t> before, std::vector<int32_t> after);

// Takes white space (plain or of the byte alphabet) off the offsets; a space that encoding put
// before the text isn't taken off.
void trim_offsets(TokenList& tokens, bool add_prefix_space);

}  // namespace tensormill
