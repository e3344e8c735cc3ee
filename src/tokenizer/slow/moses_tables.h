#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tensormill {

// What sacremoses 0.2 takes characters to be: its lists follow Perl's of Unicode 7 with more marks.
// Written by tools/unicode/make_moses_tables.py.
enum MosesFlag : uint8_t {
  kMosesAlpha = 1,
  kMosesAlnum = 2,
  kMosesLower = 4,
  kMosesNumber = 8,
  kMosesPlainAlpha = 16,  // without the marks, as the detokenizer has it
  kMosesCurrency = 32,
};

// Length and flags of runs of code points from U+0000 on.
extern const std::span<const int32_t> kMosesRuns;

struct MosesLanguage {
  std::string_view code;
  std::string_view prefixes;  // words that keep a dot behind them, with spaces between
  std::string_view numeric;   // those that do so before numbers only
};
extern const std::span<const MosesLanguage> kMosesLanguages;

}  // namespace tensormill
