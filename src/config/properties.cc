#include "config/properties.h"

#include <cstdint>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/utf8_text.h"

namespace tensormill {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\f';
}
bool is_line_end(char c) {
  return c == '\n' || c == '\r';
}

// Walks over the text one logical line at a time.
class Parser {
 public:
  Parser(std::string_view text, std::string_view origin) : text_(text), origin_(origin) {}

  std::vector<Property> parse() {
    std::vector<Property> properties;
    while (at_ < text_.size()) {
      skip_blanks();
      if (at_ == text_.size()) break;
      const char c = text_[at_];
      if (is_line_end(c)) {
        end_line();
      } else if (c == '#' || c == '!') {
        while (at_ < text_.size() && !is_line_end(text_[at_])) ++at_;
      } else {
        properties.push_back(entry());
      }
    }
    return properties;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  void end_line() {
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n' ? 2 : 1;
    ++line_;
  }

  Property entry() {
    Property property;
    property.line = line_;
    property.key = key();
    skip_continued_blanks();
    if (at_ < text_.size() && (text_[at_] == '=' || text_[at_] == ':')) {
      ++at_;
      skip_continued_blanks();
    }
    size_t kept = 0;  // an escaped blank at the end is part of the value, a plain one is not
    while (at_ < text_.size() && !is_line_end(text_[at_])) {
      const char c = text_[at_];
      if (c == '\\') {
        if (escape(property.value)) kept = property.value.size();
      } else {
        property.value += c;
        ++at_;
        if (!is_blank(c)) kept = property.value.size();
      }
    }
    property.value.resize(kept);
    return property;
  }

  std::string key() {
    std::string key;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_blank(c) || is_line_end(c) || c == '=' || c == ':') break;
      if (c == '\\') {
        escape(key);
      } else {
        key += c;
        ++at_;
      }
    }
    return key;
  }

  // Blanks may be followed by a continued line, whose own leading blanks don't count either.
  void skip_continued_blanks() {
    for (;;) {
      skip_blanks();
      const bool continued =
          at_ + 1 < text_.size() && text_[at_] == '\\' && is_line_end(text_[at_ + 1]);
      if (!continued) return;
      ++at_;
      end_line();
    }
  }

  // At a backslash: appends what it stands for. False for a continued line, which appends nothing.
  bool escape(std::string& out) {
    ++at_;
    if (at_ == text_.size()) return false;
    const char c = text_[at_];
    if (is_line_end(c)) {
      end_line();
      skip_blanks();
      return false;
    }
    ++at_;
    switch (c) {
      case 't':
        out += '\t';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 'f':
        out += '\f';
        break;
      case 'u':
        append_utf8(out, code_point());
        break;
      default:
        out += c;
    }
    return true;
  }

  uint32_t code_point() {
    const uint32_t first = hex4();
    if (first == 0) {
      throw_error(ErrorKind::kConfigInvalid, "{}:{}: \\u0000 is no text", origin_, line_);
    }
    if (first >= 0xD800 && first < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      const size_t back = at_;
      at_ += 2;
      const uint32_t second = hex4();
      if (second >= 0xDC00 && second < 0xE000) {
        return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
      }
      at_ = back;
    }
    return first >= 0xD800 && first < 0xE000 ? 0xFFFD : first;  // half a pair stands for nothing
  }

  uint32_t hex4() {
    uint32_t value = 0;
    for (int digit = 0; digit < 4; ++digit, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<uint32_t>(c - '0');
      } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
        value = value * 16 + static_cast<uint32_t>((c | 0x20) - 'a' + 10);
      } else {
        throw_error(ErrorKind::kConfigInvalid, "{}:{}: \\u needs four hexadecimal digits", origin_,
                    line_);
      }
    }
    return value;
  }

  std::string_view text_, origin_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<Property> parse_properties(std::string_view text, std::string_view origin) {
  if (text.size() > kMaxFileBytes) {
    throw_error(ErrorKind::kConfigInvalid, "{}: more than 1 MiB is no properties file", origin);
  }
  if (text.find('\0') != std::string_view::npos) {
    throw_error(ErrorKind::kConfigInvalid, "{}: contains a NUL byte, so it is no text file",
                origin);
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  if (is_valid_utf8(text)) return Parser(text, origin).parse();
  const std::string converted = latin1_to_utf8(text);
  return Parser(converted, origin).parse();
}

std::vector<Property> read_properties(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    throw_error(ErrorKind::kConfigInvalid, "{}: is a folder, expected a properties file",
                file.string());
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) throw_error(ErrorKind::kConfigInvalid, "{}: can't be read", file.string());
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return parse_properties(text, file.string());
}

}  // namespace tensormill
