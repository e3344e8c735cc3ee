#include "tokenizer/slow/moses_text.h"

#include "base/utf8.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {

using Text = std::u32string;
using View = std::u32string_view;

bool moses_is(char32_t c, int flags) {
  static const std::vector<uint8_t> all = [] {
    std::vector<uint8_t> values;
    for (size_t i = 0; i + 1 < kMosesRuns.size(); i += 2) {
      values.resize(values.size() + static_cast<size_t>(kMosesRuns[i]),
                    static_cast<uint8_t>(kMosesRuns[i + 1]));
    }
    return values;
  }();
  return c < all.size() && (all[c] & flags) != 0;
}

std::string utf8_of(View text) {
  std::string result;
  for (const char32_t c : text) append_utf8(result, c);
  return result;
}

Text replace_all(const Text& text, View from, View to) {
  Text result;
  size_t done = 0;
  for (size_t at; (at = text.find(from, done)) != Text::npos; done = at + from.size()) {
    result.append(text, done, at - done).append(to);
  }
  return result.append(text, done);
}

Text collapse(const Text& text, bool (*blank)(char32_t)) {
  Text result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!blank(text[i])) {
      result.push_back(text[i]);
    } else if (i == 0 || !blank(text[i - 1])) {
      result.push_back(U' ');
    }
  }
  return result;
}

Text strip_text(const Text& text) {
  size_t begin = 0, end = text.size();
  while (begin < end && is_python_space(text[begin])) ++begin;
  while (end > begin && is_python_space(text[end - 1])) --end;
  return text.substr(begin, end - begin);
}

std::vector<Text> split_text(const Text& text) {
  std::vector<Text> words;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && !is_python_space(text[end])) ++end;
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

}  // namespace tensormill
