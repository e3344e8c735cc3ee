#include "base/read_file.h"

#include <fstream>

#include "base/error.h"

namespace tensormill {

std::string read_file(const std::filesystem::path& file, uintmax_t max_bytes) {
  std::error_code code;
  const auto size = std::filesystem::file_size(file, code);
  if (code) throw_error(ErrorKind::kNotFound, "{}: {}", file.string(), code.message());
  if (size > max_bytes) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {} bytes, expected at most {}", file.string(),
                size, max_bytes);
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text(size, '\0');
  if (size > 0) stream.read(text.data(), static_cast<std::streamsize>(size));
  if (!stream) throw_error(ErrorKind::kNotFound, "{}: could not be read", file.string());
  return text;
}

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace tensormill
