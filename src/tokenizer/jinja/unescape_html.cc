// Character references of HTML back to characters, as Python's html.unescape has it.
#include <cctype>
#include <cstring>
#include <unordered_map>

#include "tokenizer/jinja/html_entities.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

struct Entity {
  std::string text;
  bool bare;  // stands without its ';' too
};

std::unordered_map<std::string_view, Entity> read_entities() {
  std::unordered_map<std::string_view, Entity> out;
  for (const char* at = kHtmlEntities; *at;) {
    const char* end = at + std::strcspn(at, "!=");
    const std::string_view name(at, static_cast<size_t>(end - at));
    Entity entity{{}, *end == '!'};
    do {
      char* next = nullptr;
      entity.text += code_point_text(static_cast<int32_t>(std::strtol(end + 1, &next, 16)));
      end = next;
    } while (*end == '+');
    out.emplace(name, std::move(entity));
    at = end + 1;
  }
  return out;
}

// null: there is none. name: with its ';' or without.
const std::string* find_entity(std::string_view name) {
  static const auto entities = read_entities();
  const bool closed = name.ends_with(';');
  const auto found = entities.find(closed ? name.substr(0, name.size() - 1) : name);
  return found == entities.end() || !(closed || found->second.bare) ? nullptr : &found->second.text;
}

// What browsers make of a number: those of Windows-1252 mean its characters, others nothing.
std::string number_text(int64_t number) {
  static constexpr int32_t kWindows[32] = {
      0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
      0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number < 0xE000))
    return code_point_text(0xFFFD);
  if (number >= 0x80 && number < 0xA0) return code_point_text(kWindows[number - 0x80]);
  const bool control =
      number < 0x20 && number != '\t' && number != '\n' && number != '\f' && number != '\r';
  const bool none = (number & 0xFFFE) == 0xFFFE || (number >= 0xFDD0 && number < 0xFDF0);
  if (control || number == 0x7F || none) return {};
  return code_point_text(static_cast<int32_t>(number));
}

// "#38;" at the begin of `text`: appends what it stands for and gives its length; 0: it is none.
size_t read_number(std::string_view text, std::string& out) {
  const bool hexadecimal = text.size() > 1 && (text[1] == 'x' || text[1] == 'X');
  const size_t begin = hexadecimal ? 2 : 1;
  size_t i = begin;
  int64_t number = 0;
  for (; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!(hexadecimal ? std::isxdigit(c) : std::isdigit(c))) break;
    const int digit = std::isdigit(c) ? c - '0' : std::tolower(c) - 'a' + 10;
    if (number <= 0x10FFFF) number = number * (hexadecimal ? 16 : 10) + digit;
  }
  if (i == begin) return 0;
  out += number_text(number);
  return i < text.size() && text[i] == ';' ? i + 1 : i;
}

// "amp;" or the longest begin of "ampersand" that is a name.
size_t read_name(std::string_view text, std::string& out) {
  constexpr int kLongest = 32;  // code points
  size_t end = 0;
  for (int n = 0; n < kLongest && end < text.size(); ++n) {
    if (std::string_view("\t\n\f <&#;").find(text[end]) != std::string_view::npos) break;
    next_code_point(text, end);
  }
  if (end == 0) return 0;
  if (end < text.size() && text[end] == ';') ++end;
  for (size_t length = end; length >= (length == end ? 1 : 2); --length) {
    const std::string* found = find_entity(text.substr(0, length));
    if (!found) continue;
    out += *found;
    return length;
  }
  return 0;
}

}  // namespace

std::string unescape_html(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '&') {
      out += text[i++];
      continue;
    }
    const std::string_view rest = text.substr(i + 1);
    const size_t length = rest.starts_with('#') ? read_number(rest, out) : read_name(rest, out);
    if (length == 0) out += '&';
    i += 1 + length;
  }
  return out;
}

}  // namespace tensormill::jinja
