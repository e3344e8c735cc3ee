#pragma once

#include <cstddef>
#include <utility>

#include "tensor/device.h"

namespace tensormill {

// Owner of a device's staging memory.
class StagingBuffer {
 public:
  StagingBuffer() = default;
  StagingBuffer(size_t bytes, Device& device)
      : device_(&device), data_(device.take_staging(bytes)), bytes_(bytes) {}
  StagingBuffer(StagingBuffer&& other) noexcept { swap(other); }
  StagingBuffer& operator=(StagingBuffer&& other) noexcept {
    StagingBuffer(std::move(other)).swap(*this);
    return *this;
  }
  StagingBuffer(const StagingBuffer&) = delete;
  StagingBuffer& operator=(const StagingBuffer&) = delete;
  ~StagingBuffer() {
    if (data_ != nullptr) device_->give_staging(data_, bytes_);
  }

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return bytes_; }

 private:
  void swap(StagingBuffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tensormill
