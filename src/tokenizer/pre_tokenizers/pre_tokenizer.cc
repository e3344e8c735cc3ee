#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

#include "tokenizer/factory.h"

namespace tensormill {

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node) {
  static constexpr Factory<PreTokenizer> kList[] = {
      {"BertPreTokenizer", make_bert_pre_tokenizer},
      {"ByteLevel", make_byte_level_splitter},
      {"Digits", make_digits},
      {"Metaspace", make_metaspace_splitter},
      {"Punctuation", make_punctuation},
      {"Sequence", make_pre_tokenizer_sequence},
      {"Split", make_split},
      {"Whitespace", make_whitespace},
      {"WhitespaceSplit", make_whitespace_split},
  };
  return make_stage<PreTokenizer>(node, kList);
}

}  // namespace tensormill
