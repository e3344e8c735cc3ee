#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tensor/device.h"
#include "tensor/dtype.h"

namespace tensormill {

// Owner of zeroed memory of one device. On the host aligned to 64 bytes and backed by huge pages
// where it is large and the system gives them. Throws Error kOutOfMemory with `what` and the size.
class Buffer {
 public:
  Buffer() = default;
  Buffer(size_t bytes, const char* what, Device& device = host_device());
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  // On the device.
  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return bytes_; }

  // The same bytes where the host writes them: on another device a copy, zeroed at first, that
  // commit() uploads and forgets.
  void* host();
  void commit();

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  std::unique_ptr<Buffer> mirror_;
};

// A contiguous row-major tensor somebody else owns.
struct TensorView {
  const void* data = nullptr;
  DType type = DType::kF32;
  std::vector<int64_t> shape;

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
};

}  // namespace tensormill
