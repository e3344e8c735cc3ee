#pragma once

#include <spdlog/spdlog.h>

namespace tensormill {

// Sends spdlog's default logger to standard error with time and level. Level from `level` ("debug",
// "info", "warn", "error", "off"); unknown: kBadRequest.
void setup_logging(const char* level);

}  // namespace tensormill
