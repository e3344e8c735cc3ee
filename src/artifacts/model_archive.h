#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace tensormill {

// What an archive may grow to.
struct UnpackLimits {
  int64_t bytes = int64_t{1} << 44;  // unpacked
  int64_t entries = 200000;
  // Weights hardly compress: what swells more than that is no model.
  int64_t swelling = 200, swelling_floor = int64_t{1} << 30;
};

// The folder with an archive's content (tar, also compressed by gzip, bzip2, xz or zstd; zip), made
// below `cache` the first time and found there later. Where all of it lies in one folder, that one.
// Nothing is written outside: names with "..", absolute ones, links that lead out, devices and the
// like are errors. What an error or a kill leaves is never taken for the whole.
// Errors: kNotFound; kArtifactInvalid naming archive and entry; kOutOfMemory for a full disk;
// throw_cancelled().
std::filesystem::path unpack_model_archive(const std::filesystem::path& archive,
                                           const std::filesystem::path& cache,
                                           const UnpackLimits& limits = {});

// Unpacks bytes of an archive into an empty folder.
void unpack_bytes(std::span<const std::byte> bytes, const std::string& origin,
                  const std::filesystem::path& folder, const UnpackLimits& limits);

}  // namespace tensormill
