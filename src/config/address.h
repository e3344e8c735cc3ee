#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/configuration.h"

namespace tensormill {

inline constexpr int kHighestPort = 65534;  // the original's limit

// Digits only, 0 to kHighestPort; 0 takes a free port.
std::optional<uint16_t> parse_port(std::string_view text);

// http://host[:port] or unix:/path. Errors: kConfigInvalid "Invalid binding address: X";
// kUnsupported for https.
Address parse_address(std::string_view text, std::string_view label);

// The text that parse_address reads back.
std::string format_address(const Address& address);

}  // namespace tensormill
