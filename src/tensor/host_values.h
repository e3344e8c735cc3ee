#pragma once

#include <vector>

#include "tensor/device.h"

namespace tensormill {

// Values of a device where the host reads them: in place on the host, elsewhere a copy.
template <class T>
class HostValues {
 public:
  HostValues(Device& device, const T* values, size_t count) : data_(values) {
    if (device.on_host() || values == nullptr) return;
    copy_.resize(count);
    device.download(copy_.data(), values, count * sizeof(T));
    device.wait();
    data_ = copy_.data();
  }
  HostValues(const HostValues&) = delete;
  HostValues& operator=(const HostValues&) = delete;

  const T* data() const { return data_; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  const T* data_;
  std::vector<T> copy_;
};

}  // namespace tensormill
