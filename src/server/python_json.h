#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tensormill {

// A request body. Errors are kBadRequest in the words of Python's json module, which clients of the
// original know: "Expecting value: line 1 column 12 (char 11)". Bodies nested deeper than 128
// levels, objects of more than 1024 keys and invalid UTF-8 are refused.
nlohmann::ordered_json parse_body(std::string_view body);

// What json.loads would raise; "" when it would take the text.
std::string python_json_error(std::string_view text);

// kBadRequest, naming `field` and the first bad byte, where text is no valid UTF-8.
void check_utf8(std::string_view text, std::string_view field);

std::string json_quoted(std::string_view text, bool ascii = false);  // with the quotes
std::string json_escaped(std::string_view text);                     // without them
std::string json_float(float value);  // shortest, "-0.5", "0.0"; infinities become -9999.0
std::string python_repr(std::string_view text);                     // 'details'
std::string python_type_name(const nlohmann::ordered_json& value);  // "str", "NoneType"

}  // namespace tensormill
