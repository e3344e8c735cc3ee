#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// ASCII only: names of settings and variables are.
std::string lower(std::string_view text);
std::string upper(std::string_view text);
std::string_view trim(std::string_view text);

// Pieces between any of the `separators`, trimmed; empty ones are left out.
std::vector<std::string_view> split(std::string_view text, std::string_view separators);

// For messages and tables: control characters become '?', and a long text is cut.
std::string printable(std::string_view text);

// %41 becomes A; a '%' without two digits after it stays.
std::string percent_decode(std::string_view text);

}  // namespace tensormill
