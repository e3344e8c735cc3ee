#pragma once

#include "tokenizer/normalized.h"

namespace tensormill {

bool is_white_space(char32_t c);     // the property White_Space
bool is_number(char32_t c);          // categories Nd, Nl, No
bool is_punctuation(char32_t c);     // categories P*, and ASCII's symbols
bool is_combining_mark(char32_t c);  // categories M*

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
void normalize(Normalized& text, NormalForm form);
void lowercase(Normalized& text);

}  // namespace tensormill
