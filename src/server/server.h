#pragma once

#include "config/configuration.h"

namespace tensormill {

// Loads the startup models, binds, serves until SIGTERM or SIGINT, drains, and returns the exit
// code.
int run_server(const ServerConfig& config);

}  // namespace tensormill
