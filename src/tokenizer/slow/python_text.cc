#include "tokenizer/slow/python_text.h"

#include <utf8proc.h>

#include "base/utf8.h"
#include "tokenizer/unicode.h"

namespace tensormill {

bool is_python_space(char32_t c) {
  return is_white_space(c) || (c >= 0x1c && c <= 0x1f);
}

bool is_python_nonspacing(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_MN;
}

bool is_python_digit(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

bool is_python_other(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return true;
    default:
      return false;
  }
}

size_t python_strip_left(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin;
    if (!is_python_space(next_code_point(text, end))) break;
    begin = end;
  }
  return begin;
}

size_t python_strip_right(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && is_utf8_continuation(text[begin])) --begin;
    size_t at = begin;
    if (!is_python_space(next_code_point(text, at))) break;
    end = begin;
  }
  return end;
}

std::string_view python_strip(std::string_view text) {
  text = text.substr(0, python_strip_right(text));
  return text.substr(python_strip_left(text));
}

std::vector<std::string> python_split(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    if (!is_python_space(next_code_point(text, at))) {
      word.append(text.substr(begin, at - begin));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

namespace {

// Is the sigma between `before` and `after` the last letter of a word?
bool is_final_sigma(const std::u32string& text, size_t at) {
  const auto is_letter = [](char32_t c) { return to_lower(c) != c || is_word_character(c); };
  const auto is_ignored = [](char32_t c) {
    return is_combining_mark(c) || c == U'\'' || c == U'.' || c == U':' || c == 0xad || c == 0xb7 ||
           c == 0x2019 || (c >= 0x200b && c <= 0x200f);
  };
  size_t left = at;
  while (left > 0 && is_ignored(text[left - 1])) --left;
  if (left == 0 || !is_letter(text[left - 1]) || is_number(text[left - 1])) return false;
  size_t right = at + 1;
  while (right < text.size() && is_ignored(text[right])) ++right;
  return right == text.size() || !is_letter(text[right]) || is_number(text[right]);
}

}  // namespace

std::string python_lower(std::string_view text) {
  const std::u32string all = code_points_of(text);
  std::string lower;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] == 0x130) {
      lower.append("i\u0307");
    } else if (all[i] == 0x3a3) {
      append_utf8(lower, is_final_sigma(all, i) ? 0x3c2 : 0x3c3);
    } else {
      append_utf8(lower, to_lower(all[i]));
    }
  }
  return lower;
}

}  // namespace tensormill
