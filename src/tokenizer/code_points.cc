#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/utf8.h"
#include "tokenizer/unicode.h"
#include "tokenizer/unicode_tables.h"

namespace tensormill {
namespace {

constexpr size_t kCodePoints = 0x110000, kPage = 256;

// A value for each code point; equal pages are kept once.
class PageTable {
 public:
  explicit PageTable(std::span<const int32_t> runs) {
    std::vector<uint8_t> all;
    all.reserve(kCodePoints);
    for (size_t i = 0; i + 1 < runs.size(); i += 2) {
      all.resize(all.size() + static_cast<size_t>(runs[i]), static_cast<uint8_t>(runs[i + 1]));
    }
    all.resize(kCodePoints, 0);
    std::unordered_map<std::string_view, uint16_t> known;
    for (size_t begin = 0; begin < kCodePoints; begin += kPage) {
      const std::string_view page(reinterpret_cast<const char*>(all.data()) + begin, kPage);
      const auto [entry, added] = known.emplace(page, static_cast<uint16_t>(known.size()));
      if (added) pages_.insert(pages_.end(), page.begin(), page.end());
      index_.push_back(entry->second);
    }
  }

  uint8_t operator[](char32_t c) const { return pages_[index_[c / kPage] * kPage + c % kPage]; }

 private:
  std::vector<uint16_t> index_;
  std::vector<uint8_t> pages_;
};

bool has(char32_t c, CodePointFlag flag) {
  static const PageTable table(kFlagRuns);
  return (table[c] & flag) != 0;
}

GraphemeClass grapheme_class(char32_t c) {
  static const PageTable table(kGraphemeRuns);
  return static_cast<GraphemeClass>(table[c]);
}

// Letters first, first + step, ... last, whose lower case is `difference` away.
struct LowerRun {
  char32_t first, last, step;
  int32_t difference;
};

std::vector<LowerRun> lower_runs() {
  std::vector<LowerRun> result;
  char32_t end = 0;
  for (size_t i = 0; i + 3 < kLowerRuns.size(); i += 4) {
    const auto number = [&](size_t k) { return static_cast<char32_t>(kLowerRuns[i + k]); };
    const char32_t first = end + number(0), step = number(2);
    end = first + (number(1) - 1) * step;
    result.push_back({first, end, step, kLowerRuns[i + 3]});
  }
  return result;
}

// Where a cluster goes on, rule by rule of UAX #29 (GB3 to GB13).
class GraphemeBreaker {
 public:
  explicit GraphemeBreaker(GraphemeClass first) : last_(first) { note(first); }

  // Whether `next` belongs to the cluster of all before it.
  bool joins(GraphemeClass next) {
    const bool result = pair_joins(next);
    last_ = next;
    note(next);
    return result;
  }

 private:
  using C = GraphemeClass;

  static bool extends(C c) {
    return c == C::kExtend || c == C::kLinker || c == C::kConjunctExtend || c == C::kZwj;
  }
  static bool is_control(C c) { return c == C::kControl || c == C::kCr || c == C::kLf; }

  bool pair_joins(C next) const {
    if (last_ == C::kCr && next == C::kLf) return true;
    if (is_control(last_) || is_control(next)) return false;
    if (last_ == C::kL) {
      if (next == C::kL || next == C::kV || next == C::kLv || next == C::kLvt) return true;
    }
    if ((last_ == C::kLv || last_ == C::kV) && (next == C::kV || next == C::kT)) return true;
    if ((last_ == C::kLvt || last_ == C::kT) && next == C::kT) return true;
    if (extends(next) || next == C::kSpacingMark || last_ == C::kPrepend) return true;
    if (next == C::kConsonant && conjunct_ == Conjunct::kLinked) return true;
    if (next == C::kPictographic && pictograph_ == Pictograph::kJoined) return true;
    return next == C::kRegionalIndicator && odd_indicators_;
  }

  // Remembers what the rules about more than two code points ask for.
  void note(C c) {
    if (c == C::kConsonant) {
      conjunct_ = Conjunct::kConsonant;
    } else if (c == C::kLinker && conjunct_ != Conjunct::kNone) {
      conjunct_ = Conjunct::kLinked;
    } else if (c != C::kConjunctExtend && c != C::kZwj) {
      conjunct_ = Conjunct::kNone;
    }
    if (c == C::kPictographic) {
      pictograph_ = Pictograph::kBase;
    } else if (c == C::kZwj && pictograph_ == Pictograph::kBase) {
      pictograph_ = Pictograph::kJoined;
    } else if (!extends(c) || c == C::kZwj) {
      pictograph_ = Pictograph::kNone;
    } else if (pictograph_ == Pictograph::kJoined) {
      pictograph_ = Pictograph::kNone;
    }
    odd_indicators_ = c == C::kRegionalIndicator && !odd_indicators_;
  }

  enum class Conjunct { kNone, kConsonant, kLinked };
  enum class Pictograph { kNone, kBase, kJoined };
  C last_;
  Conjunct conjunct_ = Conjunct::kNone;
  Pictograph pictograph_ = Pictograph::kNone;
  bool odd_indicators_ = false;
};

}  // namespace

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_number(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return has(c, kNumber);
}

bool is_punctuation(char32_t c) {
  return has(c, kPunctuation);
}

bool is_combining_mark(char32_t c) {
  return c >= 0x300 && has(c, kMark);
}

bool is_nonspacing_mark(char32_t c) {
  return c >= 0x300 && has(c, kNonspacing);
}

bool is_other(char32_t c) {
  return has(c, kOther);
}

bool is_word_character(char32_t c) {
  return has(c, kWord);
}

bool decomposes(char32_t c) {
  return c >= 0xa0 && has(c, kDecomposes);
}

uint8_t script_of(char32_t c) {
  static const PageTable table(kScriptRuns);
  return table[c];
}

char32_t to_lower(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  static const std::vector<LowerRun> runs = lower_runs();
  const auto run =
      std::lower_bound(runs.begin(), runs.end(), c,
                       [](const LowerRun& r, char32_t value) { return r.last < value; });
  if (run == runs.end() || c < run->first || (c - run->first) % run->step != 0) return c;
  return static_cast<char32_t>(static_cast<int32_t>(c) + run->difference);
}

size_t grapheme_end(std::string_view text, size_t begin) {
  if (begin == text.size()) return begin;
  size_t end = begin;
  GraphemeBreaker breaker(grapheme_class(next_code_point(text, end)));
  while (end < text.size()) {
    size_t next = end;
    if (!breaker.joins(grapheme_class(next_code_point(text, next)))) break;
    end = next;
  }
  return end;
}

}  // namespace tensormill
