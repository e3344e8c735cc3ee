#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tensormill {

// Whether all of it is well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF.
bool is_valid_utf8(std::string_view text);

// `code_point` must be a scalar value.
void append_utf8(std::string& out, uint32_t code_point);

std::string latin1_to_utf8(std::string_view bytes);

}  // namespace tensormill
