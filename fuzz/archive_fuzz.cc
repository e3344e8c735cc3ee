#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

#include "artifacts/model_archive.h"
#include "base/error.h"

namespace fs = std::filesystem;

// Bytes of an archive, unpacked for real: nothing may appear beside the folder, and nothing in it
// may lead out.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fs::path outer = [] {
    const bool memory = fs::is_directory("/dev/shm");
    std::string pattern = std::string(memory ? "/dev/shm" : "/tmp") + "/archive_fuzz-XXXXXX";
    return fs::path(::mkdtemp(pattern.data()));
  }();
  const fs::path folder = outer / "a/b/c";
  fs::create_directories(folder);
  tensormill::UnpackLimits limits;
  limits.bytes = 1 << 20;
  limits.entries = 200;
  limits.swelling_floor = 1 << 20;
  try {
    tensormill::unpack_bytes({reinterpret_cast<const std::byte*>(data), size}, "fuzz", folder,
                             limits);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      const fs::path real = fs::canonical(entry.path());
      if (real.string().compare(0, folder.string().size(), folder.string()) != 0) std::abort();
    }
  } catch (const tensormill::Error&) {
  }
  size_t beside = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(outer)) {
    beside += entry.path().string().compare(0, folder.string().size(), folder.string()) != 0;
  }
  if (beside != 2) std::abort();  // a and a/b
  fs::remove_all(outer / "a");
  return 0;
}
