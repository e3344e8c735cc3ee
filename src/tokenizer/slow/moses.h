#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tokenizer/decoders/decoder.h"

namespace tensormill {

// Moses' scripts as sacremoses 0.2 has them, for the classes that call it. Texts are valid UTF-8.

// Quotes, dashes, full-width punctuation and spaces in one form; then no code points of categories
// C* (line ends and tabs among them).
std::string moses_punctuation(std::string_view text, std::string_view language);

struct MosesOptions {
  bool splits_hyphens = false;  // "a-b" becomes "a @-@ b"
  bool escapes = false;         // "&" becomes "&amp;" and the like
};

// Immutable and thread-safe.
class MosesTokenizer {
 public:
  // language: one that is_moses_language() knows.
  MosesTokenizer(std::string_view language, const MosesOptions& options);
  std::vector<std::string> tokenize(std::string_view text) const;

 private:
  std::u32string spaced(std::u32string text) const;
  std::vector<std::u32string> split_dots(const std::u32string& text) const;

  std::string language_;
  MosesOptions options_;
  std::unordered_set<std::string> prefixes_, numeric_;
};

bool is_moses_language(std::string_view language);

// From text to words: what comes with spaces between words goes on without those that writing
// leaves out. Not for languages that need the next word for this (French).
std::unique_ptr<DecodeStep> make_moses_detokenizer(std::string_view language);

}  // namespace tensormill
