#include "server/python_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr int kMaxDepth = 128;
constexpr size_t kMaxKeys = 1024;

// Bytes of the valid UTF-8 sequence at `at`; 0 where there is none.
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  const unsigned second = byte(at + 1);
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (second < low || second > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

// Walks JSON as Python's decoder does, to find what it would say. Depth is bounded by the caller.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  std::string run() {
    skip_blanks();
    if (value()) {
      skip_blanks();
      if (at_ < text_.size()) fail("Extra data", at_);
    }
    return error_;
  }

 private:
  bool fail(std::string_view what, size_t at) {
    const std::string_view before = text_.substr(0, at);
    const auto characters = [](std::string_view part) {
      return std::count_if(part.begin(), part.end(), [](char c) { return (c & 0xC0) != 0x80; });
    };
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t start = before.rfind('\n');
    const auto column =
        characters(start == std::string_view::npos ? before : before.substr(start + 1)) + 1;
    error_ = fmt::format("{}: line {} column {} (char {})", what, line, column, characters(before));
    return false;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
  bool skip(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool value() {
    const size_t begin = at_;
    switch (peek()) {
      case '"':
        return string();
      case '{':
        return object();
      case '[':
        return array();
      default:
        break;
    }
    static constexpr std::string_view kWords[] = {"null", "true",     "false",
                                                  "NaN",  "Infinity", "-Infinity"};
    for (const std::string_view word : kWords) {
      if (skip(word)) return true;
    }
    return number() || fail("Expecting value", begin);
  }

  bool digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  bool number() {
    skip("-");
    if (!skip("0") && !digits()) return false;
    const size_t whole = at_;
    if (skip(".") && !digits()) at_ = whole;
    const size_t mantissa = at_;
    if (skip("e") || skip("E")) {
      if (!skip("+")) skip("-");
      if (!digits()) at_ = mantissa;
    }
    return true;
  }

  bool string() {
    const size_t begin = at_++;
    while (true) {
      if (at_ >= text_.size()) return fail("Unterminated string starting at", begin);
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) return fail("Invalid control character at", at_);
      if (c == '\\') {
        if (at_ + 1 >= text_.size()) return fail("Unterminated string starting at", begin);
        const char kind = text_[at_ + 1];
        if (kind == 'u') {
          const std::string_view hex = text_.substr(at_ + 2, 4);
          const auto is_hex = [](char d) {
            return (d >= '0' && d <= '9') || ((d | 0x20) >= 'a' && (d | 0x20) <= 'f');
          };
          if (hex.size() < 4 || !std::all_of(hex.begin(), hex.end(), is_hex))
            return fail("Invalid \\uXXXX escape", at_ + 1);
          at_ += 4;
        } else if (std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) {
          return fail("Invalid \\escape", at_);
        }
        ++at_;
      }
      ++at_;
    }
    ++at_;
    return true;
  }

  bool object() {
    ++at_;
    skip_blanks();
    if (skip("}")) return true;
    while (true) {
      if (peek() != '"') return fail("Expecting property name enclosed in double quotes", at_);
      if (!string()) return false;
      skip_blanks();
      if (!skip(":")) return fail("Expecting ':' delimiter", at_);
      skip_blanks();
      if (!value()) return false;
      skip_blanks();
      if (skip("}")) return true;
      if (!skip(",")) return fail("Expecting ',' delimiter", at_);
      skip_blanks();
    }
  }

  bool array() {
    ++at_;
    skip_blanks();
    if (skip("]")) return true;
    while (true) {
      if (!value()) return false;
      skip_blanks();
      if (skip("]")) return true;
      if (!skip(",")) return fail("Expecting ',' delimiter", at_);
      skip_blanks();
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string error_;
};

// Bounds what the parsers below may build, in one pass.
void check_shape(std::string_view body) {
  int depth = 0;
  bool inside = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (inside) {
      if (c == '\\') ++i;
      inside = c != '"';
    } else if (c == '"') {
      inside = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth)
        throw_error(ErrorKind::kBadRequest, "body: nested deeper than {} levels", kMaxDepth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

}  // namespace

void check_utf8(std::string_view text, std::string_view field) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text, i);
    if (length == 0) {
      throw_error(ErrorKind::kBadRequest, "{}: no valid UTF-8, byte 0x{:02x} at offset {}", field,
                  static_cast<unsigned char>(text[i]), i);
    }
    i += length;
  }
}

std::string python_json_error(std::string_view text) {
  return Checker(text).run();
}

OrderedJson parse_body(std::string_view body) {
  check_utf8(body, "body");
  check_shape(body);
  std::vector<size_t> keys(kMaxDepth + 2, 0);
  const auto count_keys = [&keys](int depth, OrderedJson::parse_event_t event, OrderedJson&) {
    const auto level = static_cast<size_t>(depth);
    if (event == OrderedJson::parse_event_t::object_start) keys[level + 1] = 0;
    if (event == OrderedJson::parse_event_t::key && ++keys[level] > kMaxKeys)
      throw_error(ErrorKind::kBadRequest, "body: an object of more than {} keys", kMaxKeys);
    return true;
  };
  try {
    return OrderedJson::parse(body, count_keys);
  } catch (const OrderedJson::exception& error) {
    const std::string message = python_json_error(body);
    if (!message.empty()) throw Error(ErrorKind::kBadRequest, message);
    throw_error(ErrorKind::kBadRequest,
                "body: JSON with NaN, an infinity, a number too large or half a surrogate pair");
  }
}

std::string json_quoted(std::string_view text, bool ascii) {
  return OrderedJson(text).dump(-1, ' ', ascii, OrderedJson::error_handler_t::replace);
}

std::string json_escaped(std::string_view text) {
  const std::string quoted = json_quoted(text);
  return quoted.substr(1, quoted.size() - 2);
}

std::string json_float(float value) {
  if (!std::isfinite(value)) return "-9999.0";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, static_cast<size_t>(end - buffer));
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string python_repr(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += c == '\n'   ? "\\n"
             : c == '\t' ? "\\t"
             : c == '\r' ? "\\r"
                         : fmt::format("\\x{:02x}", c);
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string python_type_name(const OrderedJson& value) {
  switch (value.type()) {
    case OrderedJson::value_t::null:
      return "NoneType";
    case OrderedJson::value_t::boolean:
      return "bool";
    case OrderedJson::value_t::string:
      return "str";
    case OrderedJson::value_t::array:
      return "list";
    case OrderedJson::value_t::object:
      return "dict";
    case OrderedJson::value_t::number_float:
      return "float";
    default:
      return "int";
  }
}

}  // namespace tensormill
