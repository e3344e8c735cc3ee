#pragma once

#include <string>
#include <string_view>

namespace tensormill {

// What clean_up_tokenization_spaces does to decoded text: no space before . ? ! , and English
// contractions, none around a single quote.
std::string clean_up_spaces(std::string_view text);
// The same for one token of the decoders that have a "cleanup", which know one contraction more.
std::string clean_up_token(std::string_view token);

// Each `from` becomes `to`; an empty one stands before, between and behind all characters.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

// A place in the text so that cleaning up the two parts apart is the same as cleaning up the
// whole, whatever still follows. As far right as can be told.
size_t clean_up_border(std::string_view text);

}  // namespace tensormill
