#include <algorithm>
#include <array>
#include <map>

#include "base/utf8.h"
#include "tokenizer/normalized.h"
#include "tokenizer/slow/moses.h"
#include "tokenizer/slow/moses_text.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {
namespace {

bool is_cjk(char32_t c) {
  static constexpr std::array<std::pair<char32_t, char32_t>, 11> kRanges = {{{0x1100, 0x11ff},
                                                                             {0x2e80, 0xa4cf},
                                                                             {0xa840, 0xa87f},
                                                                             {0xac00, 0xd7af},
                                                                             {0xf900, 0xfaff},
                                                                             {0xfe30, 0xfe4f},
                                                                             {0xff65, 0xffdc},
                                                                             {0x17000, 0x18aff},
                                                                             {0x1b000, 0x1b12f},
                                                                             {0x1b170, 0x1b2ff},
                                                                             {0x20000, 0x2ffff}}};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

bool consists_of(std::u32string_view word, std::u32string_view characters) {
  return word.find_first_not_of(characters) == std::u32string_view::npos;
}

std::string unescaped(std::string word) {
  static constexpr std::array<std::pair<const char*, const char*>, 11> kEscapes = {
      {{"&bar;", "|"},
       {"&#124;", "|"},
       {"&lt;", "<"},
       {"&gt;", ">"},
       {"&bra;", "["},
       {"&ket;", "]"},
       {"&quot;", "\""},
       {"&apos;", "'"},
       {"&#91;", "["},
       {"&#93;", "]"},
       {"&amp;", "&"}}};
  if (word.find('&') == std::string::npos) return word;
  for (const auto& [from, to] : kEscapes) {
    const std::string_view escape = from;
    for (size_t at = 0; (at = word.find(escape, at)) != std::string::npos; ++at) {
      word.replace(at, escape.size(), to);
    }
  }
  return word;
}

class Detokenizer : public DecodeStep {
 public:
  explicit Detokenizer(std::string_view language) : english_(language == "en") {}

  void feed(std::string_view text) override {
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      if (is_python_space(next_code_point(text, at))) {
        end_word();
      } else {
        word_.append(text.substr(begin, at - begin));
      }
    }
  }
  void end_token() override {}
  void finish() override {
    end_word();
    if (!joined_.empty()) add(unescaped(joined_));
    next().end_token();
    next().finish();
  }

 private:
  // "a @-@ b" is one word.
  void end_word() {
    if (word_.empty()) return;
    if (word_ == "@-@" && !after_hyphen_) {
      joined_.push_back('-');
      after_hyphen_ = true;
    } else {
      if (!after_hyphen_) {
        if (!joined_.empty()) add(unescaped(joined_));
        joined_.clear();
      }
      joined_.append(word_);
      after_hyphen_ = false;
    }
    word_.clear();
  }

  void add(const std::string& word) {
    const std::u32string text = code_points_of(word);
    bool space = true, space_behind = true;
    if (is_cjk(text[0])) {
      space = last_.empty() || !is_cjk(last_.back());
    } else if (is_currency(text)) {
      space_behind = false;
    } else if (consists_of(text, U",.?!:;\\%}])") || is_contraction(text)) {
      space = false;
    } else if (consists_of(text, U"'\"„“`")) {
      space = opens(text);
      space_behind = !space;
    }
    if (space && space_before_ && !last_.empty()) next().feed(" ");
    next().feed(word);
    space_before_ = space_behind;
    last_ = text;
  }

  static bool is_currency(const std::u32string& word) {
    return std::all_of(word.begin(), word.end(), [](char32_t c) {
      return moses_is(c, kMosesCurrency) || c == U'(' || c == U'[' || c == U'{' || c == U'¿' ||
             c == U'¡';
    });
  }

  bool is_contraction(const std::u32string& word) const {
    return english_ && !last_.empty() && word.size() >= 2 && word[0] == U'\'' &&
           moses_is(word[1], kMosesPlainAlpha);
  }

  // Every other quotation mark of a kind opens; that of "The Jones' house" is neither.
  bool opens(const std::u32string& word) {
    const bool curly = consists_of(word, U"„“");
    int& count = counts_[curly ? U"\"" : word];
    if (count % 2 == 0 && english_ && word == U"'" && !last_.empty() && last_.back() == U's') {
      return false;
    }
    ++count;
    return count % 2 == 1;
  }

  bool english_, space_before_ = true, after_hyphen_ = false;
  std::string word_, joined_;
  std::u32string last_;
  std::map<std::u32string, int> counts_;
};

}  // namespace

std::unique_ptr<DecodeStep> make_moses_detokenizer(std::string_view language) {
  return std::make_unique<Detokenizer>(language);
}

}  // namespace tensormill
