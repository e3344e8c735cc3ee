#include "base/mmap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace tensormill {

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& file) {
  // O_NONBLOCK: opening a named pipe must fail the check below, not wait for a writer.
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw_error(ErrorKind::kNotFound, "{}: {}", file.string(), std::strerror(errno));
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected a regular file", file.string());
  }
  const auto size = static_cast<size_t>(info.st_size);
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      const int code = errno;
      ::close(fd);
      throw_error(ErrorKind::kArtifactInvalid, "{}: {} bytes could not be mapped: {}",
                  file.string(), size, std::strerror(code));
    }
  }
  ::close(fd);
  return std::shared_ptr<const MappedFile>(
      new MappedFile(file.string(), {static_cast<const std::byte*>(data), size}));
}

void MappedFile::release(std::span<const std::byte> part) const {
  const std::byte* begin = bytes_.data();
  const std::byte* end = begin + bytes_.size();
  if (part.data() < begin || part.data() + part.size() > end) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  // A mapping starts on a page: offsets from it round like addresses.
  const auto offset = static_cast<size_t>(part.data() - begin);
  const size_t first = (offset + page - 1) / page * page;
  const size_t last = (offset + part.size()) / page * page;
  if (first >= last) return;
  // Only advice: a failure costs memory, nothing else.
  ::madvise(const_cast<std::byte*>(begin) + first, last - first, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace tensormill
