#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill::jinja {

struct LinkStyle {
  std::optional<int64_t> limit;      // code points of the shown address
  std::string attributes;            // behind href, with a blank before
  std::vector<std::string> schemes;  // besides http, https and mailto
};

// Escaped text with its addresses of the web and of mail as links of HTML, as the filter urlize.
std::string with_links(std::string_view text, const LinkStyle& style);

}  // namespace tensormill::jinja
