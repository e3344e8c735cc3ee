#pragma once

#include <cstdio>
#include <string>

namespace tensormill {

// What the program prints, errors too.
inline std::string output(const std::string& arguments) {
  FILE* pipe = ::popen((std::string(TENSORMILL_BINARY) + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "";
  std::string text;
  char buffer[4096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  ::pclose(pipe);
  return text;
}

}  // namespace tensormill
