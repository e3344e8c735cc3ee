#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "artifacts/gguf_types.h"

namespace tensormill {

// A metadata value. Integers of all widths are int64_t (a uint64 beyond it is an error), floats
// double: a float32 becomes the double with the same shortest decimal text. Arrays of arrays are
// checked and skipped.
using GgufValue = std::variant<std::monostate, bool, int64_t, double, std::string,
                               std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;

struct GgufTensor {
  const GgufType* type;
  std::vector<int64_t> shape;  // row-major: the fastest axis last
  std::span<const std::byte> data;

  int64_t elements() const;
};

// A GGUF file, version 2 or 3, little-endian. The data views the mapped file.
class GgufFile {
 public:
  // Errors: kNotFound; kUnsupported (version, byte order, element type); kArtifactInvalid naming
  // the file, the key or tensor and what was expected.
  static GgufFile open(const std::filesystem::path& file);
  static GgufFile parse(std::span<const std::byte> bytes, const std::string& origin);

  const std::string& origin() const { return origin_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }

  // A value, if the key is there. kArtifactInvalid when it has another type.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // of an integer too
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  // Null when the key isn't there.
  const std::vector<std::string>* texts(std::string_view key) const;
  const std::vector<int64_t>* integers(std::string_view key) const;
  const std::vector<double>* numbers(std::string_view key) const;

  // A required integer in [least, most], or `fallback` when the key is missing.
  int64_t size(std::string_view key, int64_t least, int64_t most,
               std::optional<int64_t> fallback = {}) const;

 private:
  friend class GgufParser;
  template <class T>
  const T* get(std::string_view key, const char* expected) const;

  std::string origin_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
  std::shared_ptr<const void> owner_;
};

}  // namespace tensormill
