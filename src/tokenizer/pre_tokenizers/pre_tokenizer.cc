#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

#include "tokenizer/factory.h"

namespace tensormill {

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node) {
  static constexpr Factory<PreTokenizer> kList[] = {
      {"BertPreTokenizer", make_bert_pre_tokenizer},
      {"ByteLevel", make_byte_level_splitter},
      {"CharDelimiterSplit", make_char_delimiter_split},
      {"Digits", make_digits},
      {"FixedLength", make_fixed_length},
      {"Metaspace", make_metaspace_splitter},
      {"Punctuation", make_punctuation},
      {"Sequence", make_pre_tokenizer_sequence},
      {"Split", make_split},
      {"UnicodeScripts", make_unicode_scripts},
      {"Whitespace", make_whitespace},
      {"WhitespaceSplit", make_whitespace_split},
  };
  return make_stage<PreTokenizer>(node, kList);
}

}  // namespace tensormill
