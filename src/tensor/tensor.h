#pragma once

#include <cstdint>
#include <vector>

#include "tensor/dtype.h"

namespace tensormill {

// Owner of zeroed memory, aligned to 64 bytes, backed by huge pages where it is large and the
// system gives them. Throws Error kOutOfMemory with `what` and the size.
class Buffer {
 public:
  Buffer() = default;
  Buffer(size_t bytes, const char* what);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0, mapped_ = 0;
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
