#pragma once

#include <string>
#include <string_view>

#include "config/configuration.h"

namespace tensormill {

// http://host[:port] or unix:/path. Errors: kConfigInvalid "Invalid binding address: X";
// kUnsupported for https.
Address parse_address(std::string_view text, std::string_view label);

// The text that parse_address reads back.
std::string format_address(const Address& address);

}  // namespace tensormill
