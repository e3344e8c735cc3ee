#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
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

// Maps `bytes` at a multiple of kHugePage, so that the system can back all whole ones of it so.
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

// What take() maps for so many bytes: a last huge page that would be less than half full stays
// small pages. A model has hundreds of weights; rounded up, each would cost a megabyte.
size_t mapped_size(size_t bytes) {
  const size_t pages = round_up(bytes, static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  const bool fills = bytes >= kHugePage && pages % kHugePage > kHugePage / 2;
  return fills ? round_up(bytes, kHugePage) : pages;
}

class HostDevice : public Device {
 public:
  const std::string& name() const override { return name_; }
  bool on_host() const override { return true; }
  int64_t total() const override {
    return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  }
  int64_t available() const override {
    return int64_t{sysconf(_SC_AVPHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  }
  void* take(size_t bytes) override {
    if (bytes >= SIZE_MAX / 2) return nullptr;
    const size_t mapped = mapped_size(bytes);
    return bytes >= kHugePage ? map_huge(mapped) : map_pages(mapped);
  }
  void give(void* data, size_t bytes) noexcept override { munmap(data, mapped_size(bytes)); }
  void* take_staging(size_t bytes) override { return take(bytes); }
  void give_staging(void* data, size_t bytes) noexcept override { give(data, bytes); }
  void upload(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void upload_staged(void* to, const void* from, size_t bytes) override { upload(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { upload(to, from, bytes); }
  void wait() override {}
  void mark(int) override {}
  void wait_for(int) override {}
  std::unique_ptr<Recording> record(const std::function<void()>&) override { return nullptr; }

 private:
  std::string name_ = "cpu";
};

}  // namespace

Device& host_device() {
  static HostDevice device;
  return device;
}

Buffer::Buffer(size_t bytes, const char* what, Device& device) : device_(&device), bytes_(bytes) {
  if (bytes == 0) return;
  data_ = device.take(bytes);
  if (data_ != nullptr) return;
  if (device.on_host()) {
    throw_error(ErrorKind::kOutOfMemory, "{}: {} bytes of memory are not to be had", what, bytes);
  }
  throw_error(ErrorKind::kOutOfMemory,
              "{}: {} bytes are not to be had on {}, which has {} left of {}", what, bytes,
              device.name(), device.available(), device.total());
}

Buffer::Buffer(Buffer&& other) noexcept
    : device_(other.device_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mirror_(std::move(other.mirror_)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mirror_, other.mirror_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) device_->give(data_, bytes_);
}

void* Buffer::host() {
  if (data_ == nullptr || device_->on_host()) return data_;
  if (!mirror_) mirror_ = std::make_unique<Buffer>(bytes_, "a copy on the host");
  return mirror_->data();
}

void Buffer::commit() {
  if (!mirror_) return;
  device_->upload(data_, mirror_->data(), bytes_);
  mirror_.reset();
}

}  // namespace tensormill
