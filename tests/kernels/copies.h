#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/cuda.h"

namespace tensormill::testing {

// The first GPU; null without one, or in a build without kernels for it.
CudaDevice* gpu();

// Device copies of what one call's arguments name. Arrays have room for `spare` rows beyond those
// of the host, and end in guards; both hold NaN.
class Copies {
 public:
  explicit Copies(int32_t spare) : spare_(spare) {}
  ~Copies();
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;

  const KernelTable& kernels() const { return gpu()->kernels(); }
  Stream stream() const { return gpu()->stream(); }
  int32_t spare() const { return spare_; }

  // Replaces the host's pointer by the device's. Null stays null.
  template <class T>
  void in(T*& pointer, int64_t count) {
    pointer = static_cast<T*>(take(pointer, bytes_of<T>(count), 0, false));
  }
  template <class T>
  void in_rows(T*& pointer, int64_t rows, int64_t width = 1) {
    pointer = static_cast<T*>(
        take(pointer, bytes_of<T>(rows * width), bytes_of<T>(spare_ * width), false));
  }
  template <class T>
  void out(T*& pointer, int64_t count) {
    pointer = static_cast<T*>(take(pointer, bytes_of<T>(count), 0, true));
  }
  template <class T>
  void out_rows(T*& pointer, int64_t rows, int64_t width = 1) {
    pointer = static_cast<T*>(
        take(pointer, bytes_of<T>(rows * width), bytes_of<T>(spare_ * width), true));
  }
  // `width` values of each row.
  void in(Rows& rows, int64_t count, int64_t width) { map(rows, count, width, false); }
  void out(Rows& rows, int64_t count, int64_t width) { map(rows, count, width, true); }
  void live(Live& live) {
    live.bound += spare_;
    in(live.count, 1);
  }
  // Memory that means nothing before and after the call.
  void* scratch(size_t bytes);

  // Runs the work twice from the same start, the second time as a recording where it can be
  // recorded: both results must have the same bits. Then brings everything written to the host and
  // checks that nothing else was written.
  void run(const std::function<void()>& enqueue, bool recorded = true);

 private:
  struct Array {
    void* host;  // null: scratch
    size_t bytes, spare;
    void* device;
    bool written;
    std::vector<uint8_t> start, result;  // bytes, spare and guard
  };

  template <class T>
  static size_t bytes_of(int64_t count) {
    return static_cast<size_t>(count) * sizeof(T);
  }
  void map(Rows& rows, int64_t count, int64_t width, bool written);
  void* take(const void* host, size_t bytes, size_t spare, bool written);
  void upload() const;
  void download();
  void check() const;

  int32_t spare_;
  std::vector<Array> arrays_;
};

}  // namespace tensormill::testing
