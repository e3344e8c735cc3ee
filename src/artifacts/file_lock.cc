#include "artifacts/file_lock.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "artifacts/web_client.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

// Whether `file` still names what the descriptor has open: the last owner may have deleted it.
bool is_current(int descriptor, const fs::path& file) {
  struct stat mine {
  }, there{};
  return ::fstat(descriptor, &mine) == 0 && ::stat(file.c_str(), &there) == 0 &&
         mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

}  // namespace

FileLock::FileLock(const fs::path& file) {
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  auto say_at = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (true) {
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) {
      throw_error(ErrorKind::kConfigInvalid,
                  "{}: could not be made: {}; expected a cache folder "
                  "that can be written (HF_HOME, SERVING_DOWNLOAD_DIR)",
                  file.string(), std::strerror(errno));
    }
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) {
      if (is_current(descriptor_, file)) return;
    } else if (errno != EWOULDBLOCK && errno != EINTR) {
      return;  // no locks here
    }
    ::close(descriptor_);
    descriptor_ = -1;
    if (transfers_cancelled()) throw_cancelled();
    if (std::chrono::steady_clock::now() > say_at) {
      spdlog::info("waiting for another process that downloads the same: {}", file.string());
      say_at += std::chrono::seconds(10);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace tensormill
