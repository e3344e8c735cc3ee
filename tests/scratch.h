// Folders that tests write in.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace tensormill {

// A path below the folder for temporary files, this process's own: shards of one test program run
// side by side. Nothing is made there.
inline std::filesystem::path scratch_folder(const std::string& name) {
  return std::filesystem::path(testing::TempDir()) / (name + "." + std::to_string(::getpid()));
}

}  // namespace tensormill
