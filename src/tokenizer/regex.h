#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/json_node.h"

namespace tensormill {

using ByteRanges = std::vector<std::pair<size_t, size_t>>;  // ascending, disjoint

// A compiled pattern of tokenizer.json, in Oniguruma's Ruby syntax. Immutable and thread-safe.
class Regex {
 public:
  // Throws kArtifactInvalid with `origin`, the pattern and the column of a syntax error;
  // kUnsupported for what this translation doesn't know.
  Regex(std::string_view pattern, std::string_view origin);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // All matches in `text` (valid UTF-8), leftmost first. kBadRequest when the pattern backtracks
  // too much on this text.
  void find_all(std::string_view text, ByteRanges& out) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

// What "pattern" holds in tokenizer.json: {"String": ...} found verbatim or {"Regex": ...}.
class Pattern {
 public:
  explicit Pattern(const JsonNode& node);
  explicit Pattern(std::string literal) : literal_(std::move(literal)) {}
  void find_all(std::string_view text, ByteRanges& out) const;

 private:
  std::string literal_;
  std::shared_ptr<const Regex> regex_;
};

// The pattern in PCRE2's syntax with the same meaning. Separate for tests.
std::string translate_regex(std::string_view pattern, std::string_view origin);

}  // namespace tensormill
