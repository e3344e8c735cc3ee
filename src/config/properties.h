#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// One entry of a Java properties file: UTF-8 without blanks at the end of the value.
struct Property {
  std::string key, value;
  int line = 0;  // where the key stands, from 1
};

// Parses Java properties: separators '=', ':' or blanks, comments with '#' or '!', a backslash
// before the end of a line continues it, escapes \t \n \r \f \uXXXX (surrogate pairs joined) and
// backslash + anything else for itself. Bytes that aren't UTF-8 are read as Latin-1, a byte order
// mark is skipped. A key that comes twice is returned twice, in order.
// Errors: kConfigInvalid naming `origin` and line for a bad \u escape or a NUL byte.
std::vector<Property> parse_properties(std::string_view text, std::string_view origin);

// The same for a file. Errors: kConfigInvalid if it can't be read or has more than 1 MiB.
std::vector<Property> read_properties(const std::filesystem::path& file);

}  // namespace tensormill
