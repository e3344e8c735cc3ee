#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tensormill {

// The whole file. kNotFound where it can't be read, kArtifactInvalid where it is larger.
std::string read_file(const std::filesystem::path& file, uintmax_t max_bytes);

}  // namespace tensormill
