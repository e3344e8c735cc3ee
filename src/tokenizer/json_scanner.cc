#include "tokenizer/json_scanner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/utf8.h"

namespace tensormill {
namespace {

constexpr int kMaxDepth = 512;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The length of the number at the begin of `text` as JSON writes numbers; 0: there is none.
size_t number_length(std::string_view text, bool& integral) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t before = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at > before;
  };
  const auto is = [&](char a, char b) {
    return at < text.size() && (text[at] == a || text[at] == b);
  };
  if (is('-', '-')) ++at;
  if (is('0', '0')) {
    ++at;
  } else if (!digits()) {
    return 0;
  }
  integral = true;
  if (is('.', '.')) {
    integral = false;
    ++at;
    if (!digits()) return 0;
  }
  if (is('e', 'E')) {
    integral = false;
    ++at;
    if (is('+', '-')) ++at;
    if (!digits()) return 0;
  }
  return at;
}

// 10 to the power of 0 to 308, each the nearest double.
const std::array<double, 309>& powers_of_ten() {
  static const std::array<double, 309> powers = [] {
    std::array<double, 309> result{};
    for (size_t i = 0; i < result.size(); ++i) {
      const std::string text = fmt::format("1e{}", i);
      std::from_chars(text.data(), text.data() + text.size(), result[i]);
    }
    return result;
  }();
  return powers;
}

// Digits as one integer, as far as it holds them; `exponent` counts what it doesn't.
struct Significand {
  uint64_t value = 0;
  int64_t exponent = 0;
  bool full = false;

  void add(char digit, bool fraction) {
    const auto next = static_cast<uint64_t>(digit - '0');
    full = full || value > (UINT64_MAX - next) / 10;
    if (!full) value = value * 10 + next;
    if (full && !fraction) ++exponent;
    if (!full && fraction) --exponent;
  }
};

// The number as the reference's JSON library reads it: one multiplication or division of a rounded
// significand. That is not always the nearest double, and where two ways through a text have the
// same score but for the last bit, it tells which one is taken.
double reference_number(std::string_view text) {
  constexpr int64_t kMaxExponent = INT32_MAX;
  const bool negative = text[0] == '-';
  Significand digits;
  bool fraction = false;
  size_t at = negative ? 1 : 0;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      fraction = true;
      digits.full = false;
    } else {
      digits.add(text[at], fraction);
    }
  }
  int64_t power = 0;
  bool down = false;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '-') down = true;
    if (is_digit(text[at])) power = std::min(power * 10 + (text[at] - '0'), kMaxExponent);
  }
  int64_t exponent = digits.exponent + (down ? -power : power);
  auto result = static_cast<double>(digits.value);
  for (; exponent < -308 && result != 0; exponent += 308) result /= 1e308;
  if (result != 0) {
    const auto place = static_cast<size_t>(std::min<int64_t>(std::abs(exponent), 309));
    if (place == 309) {
      result = std::numeric_limits<double>::infinity();
    } else if (exponent >= 0) {
      result *= powers_of_ten()[place];
    } else {
      result /= powers_of_ten()[place];
    }
  }
  return negative ? -result : result;
}

}  // namespace

void JsonScanner::skip_space() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
    ++at_;
  }
}

size_t JsonScanner::position() {
  skip_space();
  return at_;
}

bool JsonScanner::peek(char c) {
  skip_space();
  return at_ < text_.size() && text_[at_] == c;
}

bool JsonScanner::take(char c) {
  const bool there = peek(c);
  if (there) ++at_;
  return there;
}

bool JsonScanner::at_end() {
  skip_space();
  return at_ == text_.size();
}

bool JsonScanner::string(std::string_view& out) {
  if (!take('"')) return false;
  const size_t begin = at_;
  const auto plain = [](char c) {
    return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20;
  };
  while (at_ < text_.size() && plain(text_[at_])) ++at_;
  if (at_ == text_.size()) return false;
  if (text_[at_] == '"') {
    out = text_.substr(begin, at_++ - begin);
    return true;
  }
  unescaped_.assign(text_, begin, at_ - begin);
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == '"') {
      out = unescaped_;
      return true;
    }
    if (c == '\\') {
      if (!escape(unescaped_)) return false;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      return false;
    } else {
      unescaped_.push_back(c);
    }
  }
  return false;
}

bool JsonScanner::hex4(uint32_t& out) {
  if (at_ + 4 > text_.size()) return false;
  const char* begin = text_.data() + at_;
  const auto [end, error] = std::from_chars(begin, begin + 4, out, 16);
  at_ += 4;
  return error == std::errc() && end == begin + 4;
}

// What follows a backslash.
bool JsonScanner::escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (at_ == text_.size()) return false;
  const char name = text_[at_++];
  if (const size_t known = kNames.find(name); known != std::string_view::npos) {
    out.push_back(kMeanings[known]);
    return true;
  }
  uint32_t high = 0, low = 0;
  if (name != 'u' || !hex4(high)) return false;
  if (high < 0xd800 || high > 0xdfff) {
    append_utf8(out, high);
    return true;
  }
  if (high > 0xdbff || text_.substr(at_, 2) != "\\u") return false;
  at_ += 2;
  if (!hex4(low) || low < 0xdc00 || low > 0xdfff) return false;
  append_utf8(out, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
  return true;
}

bool JsonScanner::integer(int64_t& out) {
  skip_space();
  bool integral = false;
  const size_t length = number_length(text_.substr(at_), integral);
  if (length == 0 || length > 18 || !integral) return false;
  std::from_chars(text_.data() + at_, text_.data() + at_ + length, out);
  at_ += length;
  return true;
}

bool JsonScanner::number(double& out) {
  skip_space();
  bool integral = false;
  const size_t length = number_length(text_.substr(at_), integral);
  if (length == 0) return false;
  out = reference_number(text_.substr(at_, length));
  at_ += length;
  return std::isfinite(out);
}

bool JsonScanner::skip_string() {
  while (++at_ < text_.size()) {
    if (text_[at_] == '"') {
      ++at_;
      return true;
    }
    if (text_[at_] == '\\') ++at_;
  }
  return false;
}

bool JsonScanner::skip_value() {
  skip_space();
  std::string open;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '"') {
      if (!skip_string()) return false;
    } else if (c == '{' || c == '[') {
      if (open.size() == kMaxDepth) return false;
      open.push_back(c == '{' ? '}' : ']');
      ++at_;
      continue;
    } else if (c == '}' || c == ']') {
      if (open.empty() || open.back() != c) return false;
      open.pop_back();
      ++at_;
    } else if (open.empty()) {  // a number, true, false or null
      const size_t end = text_.find_first_of(",]} \n\r\t", at_);
      at_ = end == std::string_view::npos ? text_.size() : end;
      return true;
    } else {
      ++at_;
      continue;
    }
    if (open.empty()) return true;
  }
  return false;
}

}  // namespace tensormill
