#include "tokenizer/jinja/text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/utf8.h"

namespace tensormill::jinja {
namespace {

void append_code_point(std::string& out, int32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const auto n = utf8proc_encode_char(code_point, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
}

bool is_large(int32_t code_point) {
  const auto category = utf8proc_category(code_point);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
}
bool is_small(int32_t code_point) {
  return utf8proc_category(code_point) == UTF8PROC_CATEGORY_LL || code_point == 0xAA ||
         code_point == 0xBA;
}
bool is_letter(int32_t code_point) {  // one with a case
  return is_large(code_point) || is_small(code_point);
}
bool is_any_letter(int32_t code_point) {
  const auto category = utf8proc_category(code_point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal_digit(int32_t code_point) {
  return utf8proc_category(code_point) == UTF8PROC_CATEGORY_ND;
}
bool is_digit_value(int32_t c) {  // superscripts and digits in circles count
  return is_decimal_digit(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 ||
         (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
         (c >= 0x2460 && c <= 0x2468);
}
bool has_number(int32_t code_point) {
  const auto category = utf8proc_category(code_point);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

template <class Predicate>
bool all_code_points(std::string_view text, Predicate&& predicate) {
  for (size_t i = 0; i < text.size();) {
    if (!predicate(next_code_point(text, i))) return false;
  }
  return !text.empty();
}

template <class Map>
std::string map_code_points(std::string_view text, Map&& map) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) append_code_point(out, map(next_code_point(text, i)));
  return out;
}

bool is_printable(int32_t code_point) {
  if (code_point == ' ') return true;
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

template <class Drop>
std::string_view strip_if(std::string_view text, bool left, bool right, Drop&& drop) {
  size_t begin = 0;
  while (left && begin < text.size()) {
    size_t next = begin;
    if (!drop(next_code_point(text, next))) break;
    begin = next;
  }
  size_t end = text.size();
  while (right && end > begin) {
    size_t start = end - 1;
    while (start > begin && (text[start] & 0xC0) == 0x80) --start;
    size_t at = start;
    if (!drop(next_code_point(text, at))) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

}  // namespace

bool is_utf8(std::string_view text) {
  return find_invalid_utf8(text) == std::string_view::npos;
}

int32_t next_code_point(std::string_view text, size_t& offset) {
  if (const auto lead = static_cast<unsigned char>(text[offset]); lead < 0x80) {
    ++offset;
    return lead;
  }
  utf8proc_int32_t code_point;
  const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + offset,
                                  static_cast<utf8proc_ssize_t>(text.size() - offset), &code_point);
  offset += n > 0 ? static_cast<size_t>(n) : 1;
  return n > 0 ? code_point : 0xFFFD;
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (c & 0xC0) != 0x80;
  return count;
}

std::vector<size_t> code_point_offsets(std::string_view text) {
  std::vector<size_t> offsets;
  offsets.reserve(text.size() + 1);
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xC0) != 0x80) offsets.push_back(i);
  }
  offsets.push_back(text.size());
  return offsets;
}

std::vector<std::string> split_code_points(std::string_view text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    next_code_point(text, i);
    out.emplace_back(text.substr(begin, i - begin));
  }
  return out;
}

bool is_space(int32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

std::string_view strip(std::string_view text, bool left, bool right) {
  return strip_if(text, left, right, is_space);
}

std::string_view strip_set(std::string_view text, std::string_view set, bool left, bool right) {
  return strip_if(text, left, right, [set](int32_t code_point) {
    for (size_t i = 0; i < set.size();) {
      if (next_code_point(set, i) == code_point) return true;
    }
    return false;
  });
}

std::string code_point_text(int32_t code_point) {
  std::string out;
  append_code_point(out, code_point);
  return out;
}

bool is_alnum(std::string_view text) {
  return all_code_points(text, [](int32_t c) { return is_any_letter(c) || has_number(c); });
}
bool is_alpha(std::string_view text) {
  return all_code_points(text, is_any_letter);
}
bool is_ascii(std::string_view text) {
  return text.empty() || all_code_points(text, [](int32_t c) { return c < 0x80; });
}
bool is_blank(std::string_view text) {
  return all_code_points(text, is_space);
}
bool is_decimal(std::string_view text) {
  return all_code_points(text, is_decimal_digit);
}
bool is_digit(std::string_view text) {
  return all_code_points(text, is_digit_value);
}
bool is_numeric(std::string_view text) {
  return all_code_points(text, has_number);
}
bool is_printable_text(std::string_view text) {
  return text.empty() || all_code_points(text, is_printable);
}
bool is_identifier(std::string_view text) {
  bool first = true;
  return all_code_points(text, [&first](int32_t c) {
    const bool ok = c == '_' || is_any_letter(c) || (!first && is_decimal_digit(c));
    first = false;
    return ok;
  });
}
bool is_lower(std::string_view text) {
  bool cased = false;
  return all_code_points(text,
                         [&cased](int32_t c) {
                           cased |= is_small(c);
                           return !is_large(c);
                         }) &&
         cased;
}
bool is_upper(std::string_view text) {
  bool cased = false;
  return all_code_points(text,
                         [&cased](int32_t c) {
                           cased |= is_large(c);
                           return !is_small(c);
                         }) &&
         cased;
}
bool is_title(std::string_view text) {
  bool cased = false, inside = false;
  return all_code_points(text,
                         [&](int32_t c) {
                           const bool fits = is_large(c) ? !inside : !is_small(c) || inside;
                           inside = is_letter(c);
                           cased |= inside;
                           return fits;
                         }) &&
         cased;
}

std::string casefold(std::string_view text) {
  utf8proc_uint8_t* folded = nullptr;
  const auto n =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  std::string out(n > 0 ? reinterpret_cast<const char*>(folded) : "",
                  n > 0 ? static_cast<size_t>(n) : 0);
  std::free(folded);
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const int32_t c = next_code_point(text, i);
    const std::string_view one = text.substr(begin, i - begin);
    out += is_large(c) ? lower(one) : upper(one);
  }
  return out;
}

std::string upper(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const int32_t code_point = next_code_point(text, i);
    if (code_point == 0xDF) {
      out += "SS";
    } else {
      append_code_point(out, utf8proc_toupper(code_point));
    }
  }
  return out;
}

std::string lower(std::string_view text) {
  return map_code_points(text, utf8proc_tolower);
}

std::string capitalize(std::string_view text) {
  bool first = true;
  return map_code_points(text, [&first](int32_t c) {
    const int32_t mapped = first ? utf8proc_totitle(c) : utf8proc_tolower(c);
    first = false;
    return mapped;
  });
}

std::string title(std::string_view text) {
  bool inside = false;
  return map_code_points(text, [&inside](int32_t c) {
    const int32_t mapped = inside ? utf8proc_tolower(c) : utf8proc_totitle(c);
    inside = is_letter(c);
    return mapped;
  });
}

std::string title_filter(std::string_view text) {
  bool first = true;
  return map_code_points(text, [&first](int32_t c) {
    const int32_t mapped = first ? utf8proc_toupper(c) : utf8proc_tolower(c);
    first = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    return mapped;
  });
}

size_t find_in(std::string_view text, std::string_view wanted, size_t at) {
  if (at > text.size()) return std::string_view::npos;
  if (wanted.empty()) return at;
  const void* found = memmem(text.data() + at, text.size() - at, wanted.data(), wanted.size());
  if (!found) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        int64_t limit) {
  std::string out;
  size_t at = 0;
  for (int64_t done = 0; limit < 0 || done < limit; ++done) {
    if (from.empty()) {  // between all code points
      out += to;
      if (at == text.size()) return out;
      const size_t begin = at;
      next_code_point(text, at);
      out += text.substr(begin, at - begin);
      continue;
    }
    const size_t found = find_in(text, from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  out += text.substr(at);
  return out;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t at = i;
    const int32_t c = next_code_point(text, i);
    const bool line_end = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                          c == 0x2028 || c == 0x2029;
    if (!line_end) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    lines.emplace_back(text.substr(begin, (keep_ends ? i : at) - begin));
    begin = i;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

std::string python_repr(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const bool both = single && text.find('"') != std::string_view::npos;
  const char quote = single && !both ? '"' : '\'';
  std::string out(1, quote);
  for (size_t i = 0; i < text.size();) {
    const int32_t c = next_code_point(text, i);
    if (c == quote || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      append_code_point(out, c);
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", c);
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += fmt::format("\\U{:08x}", c);
    }
  }
  return out + quote;
}

std::string json_quote(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const int32_t c = next_code_point(text, i);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000)) {
          out += fmt::format("\\u{:04x}", c);
        } else if (ascii && c >= 0x10000) {
          out += fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (c >> 10), 0xDC00 + (c & 0x3FF));
        } else {
          append_code_point(out, c);
        }
    }
  }
  return out + '"';
}

std::string format_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<size_t>(end - buffer));
  const size_t e = shortest.find('e');
  int exponent = 0;
  const char* digits = shortest.data() + e + 1 + (shortest[e + 1] == '+');
  std::from_chars(digits, end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(shortest);
  char fixed[64];
  const auto fixed_end =
      std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed).ptr;
  std::string out(fixed, static_cast<size_t>(fixed_end - fixed));
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

}  // namespace tensormill::jinja
