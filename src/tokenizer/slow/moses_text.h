#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/slow/moses_tables.h"

namespace tensormill {

// Has the character any of the flags (MosesFlag)?
bool moses_is(char32_t c, int flags);

// Texts as code points.
std::string utf8_of(std::u32string_view text);
std::u32string replace_all(const std::u32string& text, std::u32string_view from,
                           std::u32string_view to);
// Each run of blanks becomes one space.
std::u32string collapse(const std::u32string& text, bool (*blank)(char32_t));
std::u32string strip_text(const std::u32string& text);               // str.strip()
std::vector<std::u32string> split_text(const std::u32string& text);  // str.split()

}  // namespace tensormill
