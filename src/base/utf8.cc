#include "base/utf8.h"

#include <algorithm>
#include <cstring>

namespace tensormill {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct Sequence {
  size_t length;  // bytes that belong together
  bool valid;     // a whole code point
  bool cut;       // well-formed so far, the text ends
};

// Reads the well-formed or maximal malformed part that starts at `begin`.
Sequence read_sequence(std::string_view text, size_t begin) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(begin);
  if (lead < 0x80) return {1, true, false};
  if (lead < 0xc2 || lead > 0xf4) return {1, false, false};
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xbf;  // of the second byte
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (size_t i = 1; i < length; ++i) {
    if (begin + i == text.size()) return {i, false, true};
    if (byte(begin + i) < low || byte(begin + i) > high) return {i, false, false};
    low = 0x80;
    high = 0xbf;
  }
  return {length, true, false};
}

// The end of the ASCII run that starts at `begin`.
size_t skip_ascii(std::string_view text, size_t begin) {
  while (begin + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + begin, 8);
    if (word & 0x8080808080808080u) break;
    begin += 8;
  }
  while (begin < text.size() && static_cast<unsigned char>(text[begin]) < 0x80) ++begin;
  return begin;
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  for (size_t i = skip_ascii(text, 0); i < text.size(); i = skip_ascii(text, i)) {
    const Sequence sequence = read_sequence(text, i);
    if (!sequence.valid) return i;
    i += sequence.length;
  }
  return std::string_view::npos;
}

char32_t next_code_point(std::string_view text, size_t& position) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + i]));
  };
  const size_t length = std::min(utf8_length(text[position]), text.size() - position);
  char32_t result = byte(0);
  if (length == 2) result = (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
  if (length == 3) result = (byte(0) & 0xf) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
  if (length == 4) {
    result =
        (byte(0) & 7) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
  }
  position += length;
  return result;
}

void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) {
    text.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3f)));
  };
  if (c < 0x80) {
    text.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    text.push_back(static_cast<char>(0xc0 | (c >> 6)));
    tail(0);
  } else if (c < 0x10000) {
    text.push_back(static_cast<char>(0xe0 | (c >> 12)));
    tail(6);
    tail(0);
  } else {
    text.push_back(static_cast<char>(0xf0 | (c >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                           [](char byte) { return !is_utf8_continuation(byte); }));
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    const size_t ascii_end = skip_ascii(bytes, i);
    result.append(bytes.substr(i, ascii_end - i));
    i = ascii_end;
    if (i == bytes.size()) break;
    const Sequence sequence = read_sequence(bytes, i);
    result.append(sequence.valid ? bytes.substr(i, sequence.length) : kReplacement);
    i += sequence.length;
  }
  return result;
}

size_t incomplete_utf8_tail(std::string_view bytes) {
  for (size_t length = 1; length <= std::min<size_t>(3, bytes.size()); ++length) {
    const size_t begin = bytes.size() - length;
    if (is_utf8_continuation(bytes[begin])) continue;
    const Sequence sequence = read_sequence(bytes, begin);
    return sequence.cut && sequence.length == length ? length : 0;
  }
  return 0;
}

}  // namespace tensormill
