#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/error.h"

namespace tensormill {

void setup_logging(const char* level) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && std::string_view(level) != "off") {
    throw_error(ErrorKind::kBadRequest,
                "log level \"{}\": expected debug, info, warn, error or off", level);
  }
  auto logger = spdlog::get("tensormill");
  if (!logger) logger = spdlog::stderr_color_mt("tensormill");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(parsed);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace tensormill
