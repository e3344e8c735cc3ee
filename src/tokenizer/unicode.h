#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tokenizer/normalized.h"

namespace tensormill {

// As the reference's libraries have them; see docs/tokenizers.md for their Unicode versions.
bool is_white_space(char32_t c);      // the property White_Space
bool is_number(char32_t c);           // categories Nd, Nl, No
bool is_punctuation(char32_t c);      // categories P*, and ASCII's symbols
bool is_combining_mark(char32_t c);   // categories M*
bool is_nonspacing_mark(char32_t c);  // category Mn
bool is_other(char32_t c);            // categories Cc, Cf, Co; not tab and line ends; U+FFFD
bool is_word_character(char32_t c);   // \w of Rust's regular expressions
uint8_t script_of(char32_t c);        // a number for each script; 0 joins any
bool decomposes(char32_t c);          // NFKD changes it
char32_t to_lower(char32_t c);        // U+0130, whose lower case is two code points, stays

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
void normalize(Normalized& text, NormalForm form);
void lowercase(Normalized& text);

// The end of the extended grapheme cluster that starts at `begin` of valid UTF-8.
size_t grapheme_end(std::string_view text, size_t begin);

}  // namespace tensormill
