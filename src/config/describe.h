#pragma once

#include <string>

#include "config/configuration.h"

namespace tensormill {

// What was given, without defaults: for the log at the start.
std::string startup_summary(const ServerConfig& config);

// The table of settings as Markdown, as docs/configuration.md has it.
std::string settings_markdown();

}  // namespace tensormill
