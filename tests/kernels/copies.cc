#include "copies.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tensor/dtype.h"

namespace tensormill::testing {
namespace {

constexpr size_t kGuard = 64;
constexpr uint8_t kPoison = 0xff;  // NaN in every float type

}  // namespace

CudaDevice* gpu() {
  static const std::unique_ptr<CudaDevice> device = [] {
    const std::vector<CudaInfo> all = cuda_devices();
    return all.empty() || !cuda_state(0).runs ? nullptr : open_cuda(0);
  }();
  return device.get();
}

Copies::~Copies() {
  for (const Array& array : arrays_) gpu()->give(array.device, array.start.size());
}

void* Copies::take(const void* host, size_t bytes, size_t spare, bool written) {
  if (host == nullptr) return nullptr;
  for (Array& array : arrays_) {
    if (array.host != host) continue;
    EXPECT_EQ(array.bytes, bytes) << "two arguments name one array, of different sizes";
    array.written |= written;
    return array.device;
  }
  Array array{const_cast<void*>(host), bytes, spare, nullptr, written, {}, {}};
  array.start.assign(bytes + spare + kGuard, kPoison);
  if (bytes > 0) std::memcpy(array.start.data(), host, bytes);
  array.device = gpu()->take(array.start.size());
  arrays_.push_back(std::move(array));
  return arrays_.back().device;
}

void* Copies::scratch(size_t bytes) {
  Array array{nullptr, bytes, 0, nullptr, true, {}, {}};
  array.start.assign(bytes + kGuard, kPoison);
  array.device = gpu()->take(array.start.size());
  arrays_.push_back(std::move(array));
  return arrays_.back().device;
}

void Copies::map(Rows& rows, int64_t count, int64_t width, bool written) {
  const size_t size = dtype_size(rows.type);
  const int64_t values = count == 0 ? 0 : (count - 1) * rows.stride + width;
  rows.x = take(rows.x, static_cast<size_t>(values) * size,
                static_cast<size_t>(spare_ * rows.stride) * size, written);
}

void Copies::upload() const {
  for (const Array& array : arrays_) {
    gpu()->upload(array.device, array.start.data(), array.start.size());
  }
}

void Copies::download() {
  for (Array& array : arrays_) {
    array.result.resize(array.start.size());
    gpu()->download(array.result.data(), array.device, array.result.size());
  }
  gpu()->wait();
}

void Copies::run(const std::function<void()>& enqueue, bool recorded) {
  upload();
  enqueue();
  download();
  check();
  std::vector<std::vector<uint8_t>> first;
  for (Array& array : arrays_) first.push_back(std::move(array.result));
  upload();
  const auto recording = recorded ? gpu()->record(enqueue) : nullptr;
  if (recording != nullptr) {
    recording->replay();
  } else {
    enqueue();
  }
  download();
  check();
  for (size_t i = 0; i < arrays_.size(); ++i) {
    const Array& array = arrays_[i];
    if (array.host == nullptr || array.bytes == 0) continue;
    EXPECT_EQ(std::memcmp(first[i].data(), array.result.data(), array.bytes), 0)
        << "the same call gave other bits in array " << i;
    if (array.written) std::memcpy(array.host, array.result.data(), array.bytes);
  }
}

void Copies::check() const {
  for (size_t i = 0; i < arrays_.size(); ++i) {
    const Array& array = arrays_[i];
    for (size_t at = array.bytes + array.spare; at < array.result.size(); ++at) {
      ASSERT_EQ(array.result[at], kPoison) << "written past the end of array " << i;
    }
    if (array.written) continue;
    ASSERT_EQ(std::memcmp(array.start.data(), array.result.data(), array.bytes), 0)
        << "array " << i << " is only to be read";
  }
}

}  // namespace tensormill::testing
