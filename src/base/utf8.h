#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tensormill {

// Byte offset of the first byte that is no part of a well-formed code point (overlong forms,
// surrogates and values over U+10FFFF are malformed); npos when all is well.
size_t find_invalid_utf8(std::string_view text);

// The code point at `position`, which moves behind it. `text` must be valid UTF-8.
char32_t next_code_point(std::string_view text, size_t& position);

// Bytes of the code point that starts with `lead`, in valid UTF-8.
inline size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

inline bool is_utf8_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

void append_utf8(std::string& text, char32_t code_point);

size_t count_code_points(std::string_view text);

// Each maximal malformed part becomes one U+FFFD, as the Unicode standard recommends.
std::string replace_invalid_utf8(std::string_view bytes);

// How many bytes at the end are the begin of a code point whose rest may still come: 0 to 3.
size_t incomplete_utf8_tail(std::string_view bytes);

}  // namespace tensormill
