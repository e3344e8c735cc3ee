#pragma once

#include <span>
#include <string_view>

namespace tensormill {

// Code points of Unicode 15 and 16, which PCRE2 10.42 takes for unassigned or for another category.
struct NewCodePoints {
  char32_t first, last;
  std::string_view category;  // "Lo"
  std::string_view script;    // "Han"; "" for scripts that are new themselves
  std::string_view flags;     // of "AUL": Alphabetic, Uppercase, Lowercase
};
extern const std::span<const NewCodePoints> kNewCodePoints;  // ascending

// The members of \p{Mn} as ranges of a class. PCRE2's own have one that is none any more.
extern const char* const kNonspacingMarks;

}  // namespace tensormill
