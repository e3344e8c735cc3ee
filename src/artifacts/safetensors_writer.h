#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace tensormill {

// Writes a safetensors file tensor by tensor, holding none of them: the header is known first, then
// bytes follow in the order of entries(). The file gets its name only in finish().
class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;
    DType type;
    std::vector<int64_t> shape;

    uint64_t bytes() const;
  };

  // Writes the header. The entries are put into the format's order: wide element types first, then
  // by name, so that every tensor is aligned. Errors: kInternal with the system's reason.
  SafetensorsWriter(const std::filesystem::path& file, std::vector<Entry> entries);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }
  void write(const void* data, size_t bytes);
  void finish();  // all of the entries' bytes must have been written

 private:
  void check() const;

  std::filesystem::path file_, partial_;
  std::vector<Entry> entries_;
  std::ofstream stream_;
  uint64_t expected_ = 0, written_ = 0;
  bool finished_ = false;
};

}  // namespace tensormill
