#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tensormill {

// GPT-2's alphabet: each byte has a printable character (U+0021 to U+0143), printable ones
// themselves.
std::string_view byte_character(uint8_t byte);  // as UTF-8
int byte_of_character(char32_t c);              // -1: not in the alphabet

// The text of a token of such a vocabulary as bytes. False (and `out` as it was) when a character
// is not in the alphabet.
bool append_bytes_of(std::string_view token, std::string& out);

}  // namespace tensormill
