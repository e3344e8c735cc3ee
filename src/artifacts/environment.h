#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace tensormill {

// Reads an environment variable, "" where it isn't set; tests give one of their own.
using EnvironmentLookup = std::function<std::string(const char* name)>;
std::string process_variable(const char* name);

// 1, ON, YES, TRUE in any case.
bool is_true_text(const std::string& value);

// "~/x", "~" and "$NAME", "${NAME}" as a shell takes them.
std::filesystem::path expand_path(const std::string& text, const EnvironmentLookup& environment);
// HOME, else what the system's user database says, else the current directory.
std::filesystem::path home_of_user(const EnvironmentLookup& environment);

// Where downloads that have no cache of their own and unpacked archives go: SERVING_DOWNLOAD_DIR,
// DJL_CACHE_DIR, else tensormill in XDG_CACHE_HOME or ~/.cache.
std::filesystem::path download_folder(const EnvironmentLookup& environment);

}  // namespace tensormill
