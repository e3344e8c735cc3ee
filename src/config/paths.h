#pragma once

#include <filesystem>

namespace tensormill {

// Without exceptions: what can't be looked at isn't there.
bool path_exists(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);

}  // namespace tensormill
