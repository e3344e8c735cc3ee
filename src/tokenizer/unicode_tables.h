#pragma once

#include <cstdint>
#include <span>

namespace tensormill {

// What the reference (tokenizers 0.22.2) takes code points to be; its parts follow different
// versions of Unicode, from 8 to 17. Written by tools/unicode/make_tables.py.

// Length and value of runs of code points from U+0000 on.
extern const std::span<const int32_t> kFlagRuns;      // bits of CodePointFlag
extern const std::span<const int32_t> kGraphemeRuns;  // values of GraphemeClass
extern const std::span<const int32_t> kScriptRuns;    // scripts that UnicodeScripts tells apart,
                                                      // 0: joins any
// For runs of letters: gap to the last one of the run before, count, step, what to add for the
// lower case.
extern const std::span<const int32_t> kLowerRuns;

enum CodePointFlag : uint8_t {
  kNumber = 1,
  kPunctuation = 2,
  kMark = 4,
  kNonspacing = 8,
  kOther = 16,
  kWord = 32,
  kDecomposes = 64,
};

enum class GraphemeClass : uint8_t {
  kAny,
  kCr,
  kLf,
  kControl,
  kZwj,
  kLinker,          // Extend too
  kConjunctExtend,  // Extend too
  kExtend,
  kRegionalIndicator,
  kPrepend,
  kSpacingMark,
  kL,
  kV,
  kT,
  kLv,
  kLvt,
  kConsonant,
  kPictographic,
};

}  // namespace tensormill
