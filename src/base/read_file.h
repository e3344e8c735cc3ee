#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tensormill {

// The whole file. kNotFound where it can't be read, kArtifactInvalid where it is larger.
std::string read_file(const std::filesystem::path& file, uintmax_t max_bytes);

// Its first line without the line end, for the system's small files. "" where it can't be read.
std::string first_line(const std::filesystem::path& file);

}  // namespace tensormill
