#include <fmt/format.h>

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/regex.h"
#include "tokenizer/regex_sets.h"

namespace tensormill {
namespace {

constexpr std::string_view kAnyCharacter = "(?s:.)";

// Writes a pattern in Oniguruma's Ruby syntax as one of PCRE2 with the same meaning.
class Translator {
 public:
  Translator(std::string_view pattern, std::string_view origin)
      : pattern_(pattern), origin_(origin) {}

  std::string run() {
    while (!done()) item();
    if (!groups_.empty()) fail("a parenthesis without its end");
    out_.append(top_.closing, ')');
    return std::move(out_);
  }

 private:
  // Characters of a class: members of a PCRE2 class, and patterns of one character each.
  struct Set {
    std::string members;
    std::vector<std::string> others;
  };
  struct Group {
    size_t begin = 0;    // in out_
    size_t closing = 0;  // parentheses to close with it, of "(?i)" inside
  };

  [[noreturn]] void fail(std::string_view what,
                         ErrorKind kind = ErrorKind::kArtifactInvalid) const {
    throw_error(kind, "{}: regular expression \"{}\": {} at column {}", origin_, pattern_, what,
                at_ + 1);
  }

  [[noreturn]] void fail_unsupported(std::string_view what) const {
    fail(what, ErrorKind::kUnsupported);
  }

  bool done() const { return at_ >= pattern_.size(); }
  std::string_view rest() const { return pattern_.substr(at_); }
  bool eat(std::string_view text) {
    if (!rest().starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  std::string_view take(size_t bytes) {
    const std::string_view text = rest().substr(0, bytes);
    at_ += text.size();
    return text;
  }
  std::string_view take_until(std::string_view end, std::string_view what) {
    const size_t length = rest().find(end);
    if (length == std::string_view::npos) fail(what);
    const std::string_view text = take(length);
    at_ += end.size();
    return text;
  }

  void item() {
    const char c = pattern_[at_];
    if (c == '(') return open_group();
    if (c == ')') return close_group();
    if (c == '{' && interval()) return;
    if (c == '*' || c == '+' || c == '?' || c == '|') {
      out_.append(take(1));
      return;
    }
    atom_ = out_.size();
    if (c == '\\') {
      ++at_;
      escape();
    } else if (c == '[') {
      ++at_;
      out_.append(character_class());
    } else if (c == '{') {
      out_.append("\\{");
      ++at_;
    } else {
      out_.append(take(utf8_length(c)));
    }
  }

  Group& group() { return groups_.empty() ? top_ : groups_.back(); }

  void open_group() {
    const size_t begin = out_.size();
    if (eat("(?#")) {
      take_until(")", "a comment without end");
      return;
    }
    for (const std::string_view start : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (!eat(start)) continue;
      out_.append(start);
      groups_.push_back({begin, 0});
      return;
    }
    if (eat("(?<")) {  // a name, which nothing refers to
      take_until(">", "a group's name without end");
      out_.append("(?:");
    } else if (eat("(?")) {
      if (!options()) return;
    } else {
      take(1);
      out_.append("(?:");
    }
    groups_.push_back({begin, 0});
  }

  // "i-m:" or "i-m)"; true where a group begins. The latter holds to the end of the group around
  // it, over all alternatives that follow.
  bool options() {
    out_.append("(?");
    for (; !done() && pattern_[at_] != ':' && pattern_[at_] != ')'; ++at_) {
      const char c = pattern_[at_];
      if (c != 'i' && c != 'm' && c != 'x' && c != '-')
        fail_unsupported("this kind of group is not supported");
      out_.push_back(c == 'm' ? 's' : c);
    }
    if (done()) fail("a parenthesis without its end");
    out_.push_back(':');
    const bool begins = take(1) == ":";
    if (!begins) ++group().closing;
    return begins;
  }

  void close_group() {
    if (groups_.empty()) fail("a parenthesis without its begin");
    take(1);
    out_.append(1 + groups_.back().closing, ')');
    atom_ = groups_.back().begin;
    groups_.pop_back();
  }

  // {n}, {n,}, {,m} or {n,m}. What follows it repeats the whole: there are no possessive
  // intervals, and no lazy ones of one number.
  bool interval() {
    const size_t end = rest().find('}');
    if (end == std::string_view::npos || out_.empty()) return false;
    const std::string_view inside = rest().substr(1, end - 1);
    const size_t comma = inside.find(',');
    if (inside.empty() || inside == "," ||
        inside.find_first_not_of("0123456789,") != std::string_view::npos ||
        (comma != std::string_view::npos &&
         inside.find(',', comma + 1) != std::string_view::npos)) {
      return false;
    }
    at_ += end + 1;
    out_.append(comma == 0 ? "{0" : "{").append(inside).append("}");
    const bool fixed = comma == std::string_view::npos;
    if (!done() && (pattern_[at_] == '+' || (fixed && pattern_[at_] == '?'))) {
      out_.insert(atom_, "(?:").append(")");
    }
    return true;
  }

  // The members that \s, \w, \p{...} ... stand for; `negated` for the others. None: no set.
  struct Named {
    std::string members;
    bool negated;
  };
  std::optional<Named> named_set(bool outside) {
    const char c = pattern_[at_];
    const auto named = [&](std::string_view members, bool negated) {
      ++at_;
      return Named{std::string(members), negated};
    };
    switch (c) {
      case 's':
      case 'S':
        return named(space_members(), c == 'S');
      case 'w':
      case 'W':
        return named(word_members(outside), c == 'W');
      case 'd':
      case 'D':
        return named(digit_members(), c == 'D');
      case 'h':
      case 'H':
        return named("0-9a-fA-F", c == 'H');
      case 'p':
      case 'P':
        break;
      default:
        return std::nullopt;
    }
    if (!rest().substr(1).starts_with("{")) return std::nullopt;
    take(2);
    std::string_view name = take_until("}", "a property without end");
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    return Named{property_members(name), negated != (c == 'P')};
  }

  // Behind a backslash that starts no set: the character, as PCRE2 has it.
  std::string escaped_character() {
    if (done()) fail("a backslash without a character");
    const char c = pattern_[at_];
    if (c == 'u') {
      const std::string_view digits = rest().substr(1, 4);
      if (digits.size() < 4) fail("\\u without four digits");
      take(5);
      return fmt::format("\\x{{{}}}", digits);
    }
    if (c == 'v') {
      take(1);
      return "\\x{b}";
    }
    if (c >= '1' && c <= '9') fail_unsupported("back references are not supported");
    std::string text(take(utf8_length(c)));
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool known = std::string_view("aefnrtx").find(c) != std::string_view::npos;
    const bool plain = letter ? !known : static_cast<unsigned char>(c) >= 0x80;
    return plain ? text : fmt::format("\\{}", text);
  }

  void escape() {
    if (done()) fail("a backslash without a character");
    if (const auto set = named_set(true)) {
      out_.append(set->negated ? "[^" : "[").append(set->members).append("]");
      return;
    }
    const char c = pattern_[at_];
    if (c == 'b' || c == 'B') {
      take(1);
      const std::string word = fmt::format("[{}]", word_members(true));
      const bool at_border = c == 'b';
      out_.append(at_border ? "(?:(?<=" : "(?:(?<!").append(word).append(")(?!").append(word);
      out_.append(at_border ? ")|(?<!" : ")|(?<=").append(word).append(")(?=").append(word);
      out_.append("))");
    } else if (c == 'A' || c == 'z' || c == 'Z') {
      out_.append("\\").append(take(1));
    } else if (c == 'R') {
      take(1);
      out_.append("(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])");
    } else if (c == 'N' || c == 'O') {
      take(1);
      out_.append(c == 'N' ? std::string_view("[^\\n]") : kAnyCharacter);
    } else if (std::string_view("XKGkgyYCMc").find(c) != std::string_view::npos) {
      fail_unsupported("this escape is not supported");
    } else {
      out_.append(escaped_character());
    }
  }

  // Behind "["; the pattern of one character.
  std::string character_class() {
    bool simple = false;
    const Set set = class_set(simple);
    return simple ? fmt::format("[{}]", set.members) : set.others.front();
  }

  // Behind "[". simple: the characters of `members`, else the one pattern in `others`.
  Set class_set(bool& simple) {
    const bool negated = eat("^");
    std::vector<std::string> all;  // what && joins
    Set set;
    for (bool first = true; first || !rest().starts_with("]"); first = false) {
      if (done()) fail("a character class without end");
      if (eat("&&")) {
        all.push_back(pattern_of(set, false));
        set = {};
      } else {
        class_item(set);
      }
    }
    take(1);
    simple = all.empty() && set.others.empty() && !negated;
    if (simple) return set;
    if (all.empty()) return {"", {pattern_of(set, negated)}};
    std::string both = "(?:";
    for (const std::string& part : all) both.append("(?=").append(part).append(")");
    both.append(pattern_of(set, false)).append(")");
    if (!negated) return {"", {both}};
    return {"", {fmt::format("(?:(?!{}){})", both, kAnyCharacter)}};
  }

  std::string pattern_of(const Set& set, bool negated) const {
    if (set.others.empty()) {
      if (set.members.empty()) fail("an empty character class");
      return fmt::format("[{}{}]", negated ? "^" : "", set.members);
    }
    std::string either = set.members.empty() ? "" : fmt::format("[{}]", set.members);
    for (const std::string& other : set.others)
      either.append(either.empty() ? "" : "|").append(other);
    if (!negated) return fmt::format("(?:{})", either);
    return fmt::format("(?:(?!{}){})", either, kAnyCharacter);
  }

  static void add(Set& set, const Named& named) {
    if (!named.negated) {
      set.members.append(named.members);
    } else if (named.members == space_members()) {
      set.members.append(not_space_members());
    } else {
      set.others.push_back(fmt::format("[^{}]", named.members));
    }
  }

  void class_item(Set& set) {
    if (eat("[:")) {
      std::string_view name = take_until(":]", "\"[:\" without \":]\"");
      const bool negated = name.starts_with('^');
      if (negated) name.remove_prefix(1);
      const std::string members = posix_members(name);
      if (members.empty()) fail("an unknown class in \"[: :]\"");
      return add(set, {members, negated});
    }
    if (eat("[")) {
      bool simple = false;
      const Set inner = class_set(simple);
      if (simple) set.members.append(inner.members);
      if (!simple) set.others.push_back(inner.others.front());
      return;
    }
    const auto from = class_character(set);
    if (!from) return;
    set.members.append(*from);
    const std::string_view next = rest();
    if (!next.starts_with('-') || next.size() < 2 || next[1] == ']' || next[1] == '[') return;
    take(1);
    Set behind;
    const auto to = class_character(behind);
    set.members.append(to ? fmt::format("-{}", *to) : fmt::format("\\-{}", behind.members));
    for (std::string& other : behind.others) set.others.push_back(std::move(other));
  }

  // One character for a PCRE2 class; none when it was a set, which is added.
  std::optional<std::string> class_character(Set& set) {
    const char c = pattern_[at_];
    if (c != '\\') {
      std::string text(take(utf8_length(c)));
      return std::string_view("[]^-").find(c) == std::string_view::npos ? text
                                                                        : fmt::format("\\{}", text);
    }
    take(1);
    if (done()) fail("a backslash without a character");
    if (const auto named = named_set(false)) {
      add(set, *named);
      return std::nullopt;
    }
    if (eat("b")) return "\\x{8}";
    return escaped_character();
  }

  std::string_view pattern_, origin_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = 0;  // where in out_ the last thing begins that can be repeated
  std::vector<Group> groups_;
  Group top_;
};

}  // namespace

std::string translate_regex(std::string_view pattern, std::string_view origin) {
  return Translator(pattern, origin).run();
}

}  // namespace tensormill
