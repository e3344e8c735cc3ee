#pragma once

#include <string>

namespace tensormill {

// Logs a message unless the same text was logged this way before. Remembers a bounded number.
void warn_once(const std::string& message);
void info_once(const std::string& message);

}  // namespace tensormill
