#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace tensormill {

// What a file's checksum is taken of, and how.
enum class Digest : uint8_t {
  kNone,
  kSha256,
  kGitBlob,  // SHA-1 of "blob SIZE\0" and the content, as git names files
  kMd5,
};

// In lower-case hexadecimal. `stopped`: asked now and then; true ends it with throw_cancelled().
// Errors: kNotFound for a file that can't be read.
std::string digest_of_file(Digest digest, const std::filesystem::path& file,
                           const std::function<bool()>& stopped);

std::string sha256(std::string_view text);  // 32 bytes
std::string hmac_sha256(std::string_view key, std::string_view text);
std::string hex(std::string_view bytes);

}  // namespace tensormill
