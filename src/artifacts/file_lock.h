#pragma once

#include <filesystem>

namespace tensormill {

// An exclusive lock between processes, by flock as the Python package filelock takes it. Waits
// until it is free, and says so; a file system without locks goes unlocked.
// Errors: kConfigInvalid where the file can't be made; throw_cancelled().
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(FileLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  FileLock& operator=(FileLock&&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace tensormill
