#include "tokenizer/jinja/lexer.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\f\v";

bool is_name_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_part(char c) {
  return is_name_start(c) || is_digit(c);
}

// One kind of line end, and none at the very end, as Jinja reads a file.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t open = find_open();
      if (open == std::string::npos) {
        emit(TokenKind::kText, source_.substr(at_));
        at_ = source_.size();
        break;
      }
      read_tag(open);
      line_start_ = at_ > 0 && source_[at_ - 1] == '\n';
    }
    emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) {
    count_lines(at_);
    syntax_error(line_, static_cast<int>(at_ - line_begin_) + 1, what);
  }

  void count_lines(size_t to) {
    for (; counted_ < to; ++counted_) {
      if (source_[counted_] != '\n') continue;
      ++line_;
      line_begin_ = counted_ + 1;
    }
  }

  void emit(TokenKind kind, std::string text) {
    if (kind == TokenKind::kText && text.empty()) return;
    count_lines(std::max(at_, counted_));
    tokens_.push_back({kind, std::move(text), line_, static_cast<int>(at_ - line_begin_) + 1});
  }

  bool starts_with(std::string_view what) const {
    return std::string_view(source_).substr(at_).substr(0, what.size()) == what;
  }

  void skip_blanks() { at_ = std::min(source_.find_first_not_of(kBlanks, at_), source_.size()); }

  size_t find_open() const {
    for (size_t i = source_.find('{', at_); i != std::string::npos; i = source_.find('{', i + 1)) {
      const char next = i + 1 < source_.size() ? source_[i + 1] : ' ';
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return std::string::npos;
  }

  // The text before a tag, without the blanks that the tag takes away.
  std::string text_before(size_t open, char sign, bool lstrip) const {
    std::string_view text = std::string_view(source_).substr(at_, open - at_);
    if (sign == '-') return std::string(strip(text, false, true));
    if (sign != '+' && lstrip) {
      const size_t line_end = text.rfind('\n');
      const size_t begin = line_end == std::string_view::npos ? 0 : line_end + 1;
      if ((begin > 0 || line_start_) && strip(text.substr(begin), true, false).empty())
        text = text.substr(0, begin);
    }
    return std::string(text);
  }

  void skip_newline() {
    if (at_ < source_.size() && source_[at_] == '\n') ++at_;
  }

  void read_tag(size_t open) {
    const char kind = source_[open + 1];
    char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
    if (sign != '-' && sign != '+') sign = ' ';
    emit(TokenKind::kText, text_before(open, sign, kind != '{'));
    at_ = open;
    const size_t inside = open + (sign == ' ' ? 2 : 3);
    if (kind == '#') {
      read_comment(inside);
    } else if (kind == '{') {
      emit(TokenKind::kVariableBegin, "");
      at_ = inside;
      read_expression("}}", TokenKind::kVariableEnd);
    } else {
      at_ = inside;
      if (read_raw()) return;
      at_ = open;
      emit(TokenKind::kBlockBegin, "");
      at_ = inside;
      read_expression("%}", TokenKind::kBlockEnd);
    }
  }

  void read_comment(size_t inside) {
    const size_t end = source_.find("#}", inside);
    if (end == std::string::npos) fail("comment without its end '#}'");
    const char sign = end > inside ? source_[end - 1] : ' ';
    at_ = end + 2;
    if (sign == '-') {
      skip_blanks();
    } else if (sign != '+') {
      skip_newline();
    }
  }

  // {% raw %} ... {% endraw %}, standing behind "{%".
  bool read_raw() {
    const size_t begin = at_;
    skip_blanks();
    if (!starts_with("raw")) return false;
    at_ += 3;
    skip_blanks();
    const bool strip_after = starts_with("-%}");
    if (!strip_after && !starts_with("%}")) return false;
    at_ += strip_after ? 3 : 2;
    if (strip_after) skip_blanks();
    line_start_ = source_[at_ - 1] == '\n';
    for (size_t open = source_.find("{%", at_); open != std::string::npos;
         open = source_.find("{%", open + 2)) {
      if (end_raw(open)) return true;
    }
    at_ = begin;
    fail("'raw' without 'endraw'");
  }

  bool end_raw(size_t open) {
    const size_t text_begin = at_;
    char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
    if (sign != '-' && sign != '+') sign = ' ';
    at_ = open + (sign == ' ' ? 2 : 3);
    skip_blanks();
    if (starts_with("endraw")) {
      at_ += 6;
      skip_blanks();
      const char last = at_ < source_.size() ? source_[at_] : ' ';
      const size_t end = at_ + (last == '-' || last == '+' ? 1 : 0);
      if (source_.compare(end, 2, "%}") == 0) {
        at_ = text_begin;
        emit(TokenKind::kText, text_before(open, sign, true));
        at_ = end + 2;
        if (last == '-') {
          skip_blanks();
        } else if (last != '+') {
          skip_newline();
        }
        return true;
      }
    }
    at_ = text_begin;
    return false;
  }

  bool read_end(std::string_view close, TokenKind kind) {
    const bool block = kind == TokenKind::kBlockEnd;
    const char first = source_[at_];
    const bool minus = first == '-', plus = first == '+' && block;
    if (source_.compare(at_ + (minus || plus ? 1 : 0), 2, close) != 0) return false;
    emit(kind, "");
    at_ += minus || plus ? 3 : 2;
    if (minus) {
      skip_blanks();
    } else if (block && !plus) {
      skip_newline();
    }
    return true;
  }

  void read_expression(std::string_view close, TokenKind end) {
    const size_t begin = at_;
    std::string open;  // brackets to be closed
    while (true) {
      skip_blanks();
      if (at_ >= source_.size()) {
        at_ = begin;
        fail(fmt::format("tag without its end '{}'", close));
      }
      if (open.empty() && read_end(close, end)) return;
      const char c = source_[at_];
      if (is_name_start(c)) {
        size_t stop = at_;
        while (stop < source_.size() && is_name_part(source_[stop])) ++stop;
        take(TokenKind::kName, stop);
      } else if (is_digit(c)) {
        read_number();
      } else if (c == '\'' || c == '"') {
        read_string(c);
      } else {
        read_operator(open);
      }
    }
  }

  void take(TokenKind kind, size_t stop) {
    emit(kind, source_.substr(at_, stop - at_));
    at_ = stop;
  }

  size_t skip_digits(size_t i, bool hex = false) const {
    const auto digit = [hex](char c) {
      return is_digit(c) || (hex && std::isxdigit(static_cast<unsigned char>(c)));
    };
    while (i < source_.size() &&
           (digit(source_[i]) ||
            (source_[i] == '_' && i + 1 < source_.size() && digit(source_[i + 1]))))
      ++i;
    return i;
  }

  void read_number() {
    const char next = at_ + 1 < source_.size() ? source_[at_ + 1] : ' ';
    if (source_[at_] == '0' && std::string_view("xXoObB").find(next) != std::string_view::npos) {
      take(TokenKind::kInteger, skip_digits(at_ + 2, true));
      return;
    }
    size_t stop = skip_digits(at_);
    TokenKind kind = TokenKind::kInteger;
    if (stop + 1 < source_.size() && source_[stop] == '.' && is_digit(source_[stop + 1]) &&
        !(at_ > 0 && source_[at_ - 1] == '.')) {
      kind = TokenKind::kFloat;
      stop = skip_digits(stop + 1);
    }
    if (stop < source_.size() && (source_[stop] == 'e' || source_[stop] == 'E')) {
      size_t power = stop + 1;
      if (power < source_.size() && (source_[power] == '+' || source_[power] == '-')) ++power;
      if (power < source_.size() && is_digit(source_[power])) {
        kind = TokenKind::kFloat;
        stop = skip_digits(power);
      }
    }
    take(kind, stop);
  }

  void read_string(char quote) {
    size_t stop = at_ + 1;
    while (stop < source_.size() && source_[stop] != quote)
      stop += source_[stop] == '\\' ? size_t{2} : size_t{1};
    if (stop >= source_.size()) fail("string without its end");
    std::string text = unescape(std::string_view(source_).substr(at_ + 1, stop - at_ - 1));
    emit(TokenKind::kString, std::move(text));
    at_ = stop + 1;
  }

  // Python's escapes.
  std::string unescape(std::string_view text) {
    static constexpr std::string_view kFrom = "ntrabfv\\'\"";
    static constexpr std::string_view kTo = "\n\t\r\a\b\f\v\\'\"";
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      const size_t simple = kFrom.find(c);
      if (simple != std::string_view::npos) {
        out += kTo[simple];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_code(out, text.substr(i + 1, digits), digits, 16);
        i += digits;
      } else if (c >= '0' && c <= '7') {
        size_t n = 1;
        while (n < 3 && i + n < text.size() && text[i + n] >= '0' && text[i + n] <= '7') ++n;
        append_code(out, text.substr(i, n), n, 8);
        i += n - 1;
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void append_code(std::string& out, std::string_view digits, size_t expected, int base) {
    const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    if (digits.size() != expected || !std::all_of(digits.begin(), digits.end(), is_hex))
      fail("truncated escape in a string");
    const unsigned long code = std::stoul(std::string(digits), nullptr, base);
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail("escape of no code point");
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (code >> 18));
      out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  void read_operator(std::string& open) {
    static constexpr std::string_view kTwo[] = {"**", "//", "==", "!=", ">=", "<="};
    for (const std::string_view two : kTwo) {
      if (starts_with(two)) return take(TokenKind::kOperator, at_ + 2);
    }
    const char c = source_[at_];
    if (std::string_view("+-*/%~[](){}<>=.:|,;").find(c) == std::string_view::npos)
      fail(fmt::format("unexpected character '{}'", c));
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) fail(fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    take(TokenKind::kOperator, at_ + 1);
  }

  std::string source_;
  size_t at_ = 0;
  bool line_start_ = true;  // a tag at at_ would stand at the begin of a line
  size_t counted_ = 0, line_begin_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

void syntax_error(int line, int column, std::string_view what) {
  throw_error(ErrorKind::kArtifactInvalid, "chat template, line {}, column {}: {}", line, column,
              what);
}

std::vector<Token> tokenize(std::string_view source) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  if (source.size() > kMaxBytes) syntax_error(1, 1, "longer than 1 MiB");
  if (!is_utf8(source)) syntax_error(1, 1, "no valid UTF-8");
  return Lexer(normalized(source)).run();
}

}  // namespace tensormill::jinja
