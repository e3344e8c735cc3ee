#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "artifacts/tensor_file.h"
#include "base/error.h"

namespace tensormill {

// A fresh folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tensormill-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(TENSORMILL_GOLDEN) / "artifacts" / name;
}

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream.good()) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A safetensors file of this header and `data` zero bytes.
inline std::string safetensors(const std::string& header, size_t data) {
  return raw<uint64_t>(header.size()) + header + std::string(data, '\0');
}

// Runs `f`, which must throw an Error of that kind whose message has all the parts.
template <class F>
void expect_error(ErrorKind kind, std::initializer_list<const char*> parts, F&& f) {
  try {
    f();
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (const char* part : parts) {
      EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos)
          << "\"" << error.what() << "\" lacks \"" << part << "\"";
    }
  }
}

inline void expect_same(const NamedTensor& a, const NamedTensor& b) {
  EXPECT_EQ(a.name, b.name);
  ASSERT_EQ(a.view.type, b.view.type) << a.name;
  ASSERT_EQ(a.view.shape, b.view.shape) << a.name;
  const size_t bytes = static_cast<size_t>(a.view.elements()) * dtype_size(a.view.type);
  EXPECT_EQ(std::memcmp(a.view.data, b.view.data, bytes), 0) << a.name << ": values differ";
}

}  // namespace tensormill
