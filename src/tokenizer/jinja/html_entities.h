#pragma once

#include <string>
#include <string_view>

namespace tensormill::jinja {

// "NAME=HEX " or "NAME!HEX " (which also stands without its ';'), two code points as "HEX+HEX".
extern const char* const kHtmlEntities;

// As html.unescape: "&amp;", "&#38;" and "&#x26;" become what they stand for.
std::string unescape_html(std::string_view text);

}  // namespace tensormill::jinja
