#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/encoding.h"
#include "tokenizer/json_node.h"

namespace tensormill {

// Finishes encodings: special tokens around them, type ids, offsets. Immutable and thread-safe.
class Processor {
 public:
  virtual ~Processor() = default;

  // How many tokens it adds to one text, or a pair.
  virtual int64_t added(bool pair) const = 0;
  // Gets an encoding for each text of the request, with type ids 0 and 1. Those that it leaves
  // will be joined.
  virtual void apply(std::vector<Encoding>& encodings, const EncodeRequest& request) const = 0;
};

// From a value of tokenizer.json's "post_processor".
std::unique_ptr<Processor> make_processor(const JsonNode& node);

// One function for each file of processors/.
std::unique_ptr<Processor> make_bert_processing(const JsonNode& node);
std::unique_ptr<Processor> make_byte_level_processor(const JsonNode& node);
std::unique_ptr<Processor> make_processor_sequence(const JsonNode& node);
std::unique_ptr<Processor> make_roberta_processing(const JsonNode& node);
std::unique_ptr<Processor> make_template_processing(const JsonNode& node);

// Tokens that a processor adds; texts may be "" where only the vocabulary knows them.
struct SpecialTokens {
  std::vector<int32_t> ids;
  std::vector<std::string> texts;
};
SpecialTokens read_special_token(const JsonNode& node);  // ["[CLS]", 101]

// `before`, the text, `after`; and the same around the second text of a pair, whose type ids are 1.
std::unique_ptr<Processor> make_template(std::vector<int32_t> before, std::vector<int32_t> after);

// The encoding of special tokens.
Encoding encoding_of(const SpecialTokens& tokens, int32_t type_id, bool details);
// Puts special tokens around an encoding and around its overflowing pieces.
void surround(Encoding& encoding, const SpecialTokens& before, const SpecialTokens& after,
              int32_t type_id, bool details);

// Takes white space (plain or of the byte alphabet) off the offsets of an encoding and its
// overflowing pieces; a space that encoding put before the text isn't taken off.
void trim_offsets(Encoding& encoding, bool add_prefix_space);

}  // namespace tensormill
