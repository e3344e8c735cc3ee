#pragma once

#include <cstddef>

namespace tensormill {

// Anonymous memory on pages of one kind; never huge ones where not asked for.
class Pages {
 public:
  Pages(size_t bytes, bool huge);  // throws std::bad_alloc
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  char* data() const { return data_; }
  size_t size() const { return bytes_; }
  size_t huge_bytes() const;  // those that lie on huge pages, once touched

 private:
  char* mapped_ = nullptr;
  char* data_ = nullptr;
  size_t bytes_;
};

}  // namespace tensormill
