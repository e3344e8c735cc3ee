#pragma once

#include <string_view>

#include "tokenizer/loaders.h"

namespace tensormill {

// What a fast class of the reference does to the tokenizer that a tokenizer.json describes.
struct FastClass {
  enum class PrefixSpace { kNo, kYes, kAsFile };

  std::string_view name;  // without "Fast"
  // Special tokens where the files name none: see TokenizerClass::specials. "pad=": none at all.
  std::string_view specials;
  bool cases = false;          // sets lower case and accents of a BertNormalizer
  bool chinese = false;        // and its Chinese characters
  bool trims = false;          // sets the flags of a post-processor of the byte level
  bool nested_prefix = false;  // a wanted prefix space reaches all stages and the decoder
  PrefixSpace prefix = PrefixSpace::kNo;  // of a ByteLevel that stands alone, without an option
};

const FastClass* find_fast_class(std::string_view name);  // null: not known

// Makes the stages of `tree` (a tokenizer.json's) what the class and its options say.
void apply_class_options(const TokenizerConfig& config, Json& tree);

}  // namespace tensormill
