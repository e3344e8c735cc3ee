#include "config/address.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "config/text.h"

namespace tensormill {
namespace {

[[noreturn]] void invalid(std::string_view text, std::string_view label, std::string_view what) {
  throw_error(ErrorKind::kConfigInvalid,
              "{}: Invalid binding address: {}: {}; expected http://host[:port] or unix:/path",
              label, text, what);
}

}  // namespace

std::optional<uint16_t> parse_port(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (number < 0 || number > kHighestPort) return std::nullopt;
  return static_cast<uint16_t>(number);
}

Address parse_address(std::string_view text, std::string_view label) {
  text = trim(text);
  Address address;
  if (text.starts_with("unix:")) {
    address.kind = Address::Kind::kUnix;
    address.host = text.substr(5);
    if (address.host.size() < 2 || address.host[0] != '/') invalid(text, label, "no path");
    return address;
  }
  if (lower(text.substr(0, 8)) == "https://") {
    throw_error(ErrorKind::kUnsupported,
                "{} is not supported yet by this build: TLS isn't built in; put a proxy that ends "
                "it in front",
                label);
  }
  if (lower(text.substr(0, 7)) != "http://") invalid(text, label, "unknown scheme");
  std::string_view rest = text.substr(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view host = rest, port;
  if (rest.starts_with('[')) {  // IPv6: the colons inside are no port's
    const size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) invalid(text, label, "a bracket isn't closed");
    host = rest.substr(1, bracket - 1);
    port = rest.substr(bracket + 1);
    if (!port.empty() && port[0] != ':') invalid(text, label, "no port");
  } else {
    host = rest.substr(0, rest.find(':'));
    port = rest.substr(host.size());
  }
  if (host.empty() || host.find_first_of("/?# ") != std::string_view::npos) {
    invalid(text, label, "no host");
  }
  address.host = host;
  address.port = 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    const std::optional<uint16_t> number = parse_port(port);
    if (!number) invalid(text, label, fmt::format("the port must be 0 to {}", kHighestPort));
    address.port = *number;
  }
  return address;
}

std::string format_address(const Address& address) {
  if (address.kind == Address::Kind::kUnix) return "unix:" + address.host;
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", address.kind == Address::Kind::kHttps ? "https" : "http",
                     v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

}  // namespace tensormill
