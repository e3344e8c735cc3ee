#pragma once

#include <string>
#include <string_view>

namespace tensormill {

// Sets of characters as Oniguruma has them (Unicode 16), written as what stands between the
// brackets of a PCRE2 character class.

// \w: letters, marks, decimal digits, connectors. Outside of classes, and for \b, Oniguruma takes
// Latin-1's other numbers for word characters too.
std::string word_members(bool outside_of_class);
std::string_view space_members();      // \s
std::string_view not_space_members();  // \S
std::string digit_members();           // \d

// \p{name}: a general category, a script or a binary property; any case, spaces and underscores.
std::string property_members(std::string_view name);
// [:name:]; "" for a name that there isn't.
std::string posix_members(std::string_view name);

}  // namespace tensormill
