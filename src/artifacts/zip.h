#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tensormill {

// The entries of a zip archive in memory (zip64 too). Checksums are not verified. `bytes` must
// outlive it. Errors: kArtifactInvalid naming `origin` and the entry.
class ZipArchive {
 public:
  struct Entry {
    uint64_t header, packed, unpacked;  // the local header's offset, sizes in bytes
    uint16_t method;
  };

  ZipArchive(std::span<const std::byte> bytes, std::string origin);

  static bool is_zip(std::span<const std::byte> bytes);
  const std::map<std::string, Entry>& entries() const { return entries_; }
  bool has(const std::string& name) const { return entries_.count(name) != 0; }

  // An entry's bytes: a view of the archive when it is stored as it is; otherwise inflated, and
  // kept in `owners`. All inflated bytes of one archive together are bounded by its size.
  std::span<const std::byte> read(const std::string& name,
                                  std::vector<std::shared_ptr<const void>>& owners);

 private:
  void read_directory(uint64_t offset, uint64_t size, uint64_t count);
  std::span<const std::byte> slice(uint64_t offset, uint64_t size, const char* what) const;

  std::span<const std::byte> bytes_;
  std::string origin_;
  std::map<std::string, Entry> entries_;
  uint64_t inflated_ = 0;
};

}  // namespace tensormill
