#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// Texts as Python's str treats them, for classes whose reference is Python code. All of them take
// valid UTF-8.
bool is_python_space(char32_t c);       // str.isspace()
bool is_python_nonspacing(char32_t c);  // category Mn
bool is_python_digit(char32_t c);       // \d: category Nd
bool is_python_other(char32_t c);       // categories C*, code points without character among them

size_t python_strip_left(std::string_view text);   // where the first other character stands
size_t python_strip_right(std::string_view text);  // the end of the last other one
std::string_view python_strip(std::string_view text);
std::vector<std::string> python_split(std::string_view text);  // str.split()
std::string python_lower(std::string_view text);               // str.lower()

}  // namespace tensormill
