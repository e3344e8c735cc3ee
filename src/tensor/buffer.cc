#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "tensor/tensor.h"

namespace tensormill {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Anonymous pages: zeroed by the system, given when first touched. `bytes` is a multiple of a page.
void* map_pages(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

// Maps `bytes` at a multiple of kHugePage, so that the system can back all of it with huge pages.
void* map_huge(size_t bytes) {
  auto* wide = static_cast<char*>(map_pages(bytes + kHugePage));
  if (wide == nullptr) return nullptr;
  const size_t head =
      round_up(reinterpret_cast<uintptr_t>(wide), kHugePage) - reinterpret_cast<uintptr_t>(wide);
  if (head > 0) munmap(wide, head);
  if (head < kHugePage) munmap(wide + head + bytes, kHugePage - head);
  madvise(wide + head, bytes, MADV_HUGEPAGE);  // a wish: refused, small pages serve as well
  return wide + head;
}

}  // namespace

Buffer::Buffer(size_t bytes, const char* what) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes < SIZE_MAX / 2) {
    const bool huge = bytes >= kHugePage;
    mapped_ = round_up(bytes, huge ? kHugePage : static_cast<size_t>(sysconf(_SC_PAGESIZE)));
    data_ = huge ? map_huge(mapped_) : map_pages(mapped_);
  }
  if (data_ == nullptr) {
    throw_error(ErrorKind::kOutOfMemory, "{}: {} bytes of memory are not to be had", what, bytes);
  }
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) munmap(data_, mapped_);
}

}  // namespace tensormill
