#include "base/error.h"
#include "tokenizer/regex.h"

namespace tensormill {
namespace {

// PCRE2's own \s has U+180E too, its \w has no marks and fewer letters.
constexpr std::string_view kSpace =
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{10ffff}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

class Translator {
 public:
  Translator(std::string_view pattern, RegexFlavour flavour, std::string_view origin)
      : pattern_(pattern), flavour_(flavour), origin_(origin) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape(false);
      } else if (c == '[') {
        character_class();
      } else {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::kUnsupported, "{}: regular expression \"{}\": {} at column {}", origin_,
                pattern_, what, at_ + 1);
  }

  void copy(size_t bytes) {
    out_.append(pattern_.substr(at_, bytes));
    at_ += bytes;
  }

  void set(std::string_view members, bool inside, bool negated) {
    at_ += 2;
    if (inside) {
      out_.append(members);
    } else {
      out_.append(negated ? "[^" : "[").append(members).append("]");
    }
  }

  void escape(bool inside) {
    if (at_ + 1 == pattern_.size()) fail("a backslash without a character");
    const bool oniguruma = flavour_ == RegexFlavour::kOniguruma;
    switch (pattern_[at_ + 1]) {
      case 's':
        return set(kSpace, inside, false);
      case 'S':
        return inside ? set(kNotSpace, true, false) : set(kSpace, false, true);
      case 'w':
        return set(word(), inside, false);
      case 'W':
        if (inside) fail("\\W in a character class is not supported");
        return set(word(), false, true);
      case 'd':
        return set("\\p{Nd}", inside, false);
      case 'D':
        return inside ? set("\\P{Nd}", true, false) : set("\\p{Nd}", false, true);
      case 'h':
        if (oniguruma) return set("0-9a-fA-F", inside, false);
        fail("\\h is not supported");
      case 'C':
      case 'K':
      case 'G':
      case 'X':
      case 'R':
      case 'y':
      case 'Y':
      case 'g':
      case 'k':
        fail("this escape is not supported");
      default:
        copy(2);
    }
  }

  std::string word() const {
    return std::string(kWord) + (flavour_ == RegexFlavour::kRust ? "\\x{200c}\\x{200d}" : "");
  }

  void character_class() {
    copy(1);
    if (at_ < pattern_.size() && pattern_[at_] == '^') copy(1);
    if (at_ < pattern_.size() && pattern_[at_] == ']') copy(1);
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      const std::string_view rest = pattern_.substr(at_);
      if (rest[0] == '\\') {
        escape(true);
      } else if (rest.starts_with("[:")) {
        const size_t end = rest.find(":]");
        if (end == std::string_view::npos) fail("\"[:\" without \":]\"");
        copy(end + 2);
      } else if (rest[0] == '[' || rest.starts_with("&&")) {
        fail("nested character classes are not supported");
      } else {
        copy(1);
      }
    }
    if (at_ == pattern_.size()) fail("a character class without end");
    copy(1);
  }

  std::string_view pattern_;
  RegexFlavour flavour_;
  std::string_view origin_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_regex(std::string_view pattern, RegexFlavour flavour,
                            std::string_view origin) {
  return Translator(pattern, flavour, origin).run();
}

}  // namespace tensormill
