#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Strings as Python has them: sequences of code points, stored as valid UTF-8.
namespace tensormill::jinja {

bool is_utf8(std::string_view text);

// The code point at `offset` of valid UTF-8; advances offset.
int32_t next_code_point(std::string_view text, size_t& offset);
size_t count_code_points(std::string_view text);
// Byte offsets of all code points, and the end: count + 1 entries.
std::vector<size_t> code_point_offsets(std::string_view text);
std::vector<std::string> split_code_points(std::string_view text);

bool is_space(int32_t code_point);  // str.isspace
std::string_view strip(std::string_view text, bool left, bool right);
// Strips code points that are in `set`.
std::string_view strip_set(std::string_view text, std::string_view set, bool left, bool right);

std::string code_point_text(int32_t code_point);
// str.isalnum and so on.
bool is_alnum(std::string_view text);
bool is_alpha(std::string_view text);
bool is_ascii(std::string_view text);
bool is_blank(std::string_view text);
bool is_decimal(std::string_view text);
bool is_digit(std::string_view text);
bool is_identifier(std::string_view text);
bool is_lower(std::string_view text);
bool is_numeric(std::string_view text);
bool is_printable_text(std::string_view text);
bool is_title(std::string_view text);
bool is_upper(std::string_view text);

std::string casefold(std::string_view text);
std::string swap_case(std::string_view text);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);  // first letter large, all others small
// str.title: a letter after a non-letter is large. The filter: a letter after blank or -([{< is.
std::string title(std::string_view text);
std::string title_filter(std::string_view text);

// As text.find, but in time that doesn't grow with both lengths multiplied.
size_t find_in(std::string_view text, std::string_view wanted, size_t at = 0);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        int64_t limit);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);

std::string python_repr(std::string_view text);
std::string json_quote(std::string_view text, bool ascii);
std::string format_float(double value);  // repr(float)

}  // namespace tensormill::jinja
