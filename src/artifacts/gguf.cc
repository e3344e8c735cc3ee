#include "artifacts/gguf.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/mmap.h"

namespace tensormill {

// Reads the file from front to back. Every count is checked against the bytes that are left.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, const std::string& origin) : bytes_(bytes) {
    file_.origin_ = origin;
  }

  GgufFile parse() {
    if (std::memcmp(take_bytes(4, "magic"), "GGUF", 4) != 0) fail("begins with no \"GGUF\"");
    const auto version = take<uint32_t>("version");
    if (version == 0x02000000 || version == 0x03000000) {
      throw_error(ErrorKind::kUnsupported, "{}: a big-endian GGUF file; expected little-endian",
                  file_.origin_);
    }
    if (version != 2 && version != 3) {
      throw_error(ErrorKind::kUnsupported, "{}: GGUF version {}; expected 2 or 3", file_.origin_,
                  version);
    }
    const auto tensors = take<uint64_t>("tensor count"), keys = take<uint64_t>("key count");
    for (uint64_t i = 0; i < keys; ++i) read_key();
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) offsets.push_back(read_tensor());
    place_tensors(offsets);
    return std::move(file_);
  }

 private:
  enum Type : uint32_t {
    kU8,
    kI8,
    kU16,
    kI16,
    kU32,
    kI32,
    kF32,
    kBool,
    kString,
    kArray,
    kU64,
    kI64,
    kF64
  };
  static constexpr int kMaxRank = 4, kMaxNesting = 8;
  static constexpr uint64_t kMaxName = 65536;

  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}", file_.origin_, what);
  }

  const std::byte* take_bytes(uint64_t count, std::string_view what) {
    if (count > bytes_.size() - at_) {
      fail(fmt::format("{} at byte {} needs {} bytes, {} are left: truncated?", what, at_, count,
                       bytes_.size() - at_));
    }
    const std::byte* data = bytes_.data() + at_;
    at_ += count;
    return data;
  }
  template <class T>
  T take(std::string_view what) {
    T value;
    std::memcpy(&value, take_bytes(sizeof value, what), sizeof value);
    return value;
  }
  std::string take_string(std::string_view what, uint64_t most = UINT64_MAX) {
    const auto size = take<uint64_t>(what);
    if (size > most) fail(fmt::format("{} has {} bytes, expected at most {}", what, size, most));
    return {reinterpret_cast<const char*>(take_bytes(size, what)), size};
  }

  // The double that the float's shortest text stands for: 1e-05, not 9.99999974737875e-06.
  static double tidy(float value) {
    char text[64];
    const auto end = std::to_chars(text, text + sizeof text - 1, value).ptr;
    *end = '\0';
    return std::strtod(text, nullptr);
  }

  int64_t take_integer(Type type, const std::string& key) {
    switch (type) {
      case kU8:
        return take<uint8_t>(key);
      case kI8:
        return take<int8_t>(key);
      case kU16:
        return take<uint16_t>(key);
      case kI16:
        return take<int16_t>(key);
      case kU32:
        return take<uint32_t>(key);
      case kI32:
        return take<int32_t>(key);
      case kI64:
        return take<int64_t>(key);
      default: {
        const auto value = take<uint64_t>(key);
        if (value > uint64_t{std::numeric_limits<int64_t>::max()}) {
          fail(fmt::format("key \"{}\": {} is too large", key, value));
        }
        return static_cast<int64_t>(value);
      }
    }
  }

  static bool is_integer(Type type) { return type <= kI32 || type == kU64 || type == kI64; }

  // Bytes that a value of the type takes at least.
  static uint64_t least_bytes(uint32_t type) {
    constexpr uint8_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
    return type < sizeof kBytes ? kBytes[type] : 0;
  }

  GgufValue take_value(uint32_t type, const std::string& key, int nesting) {
    if (least_bytes(type) == 0) {
      fail(fmt::format("key \"{}\": value type {} is unknown; expected 0 to 12", key, type));
    }
    const auto known = static_cast<Type>(type);
    if (is_integer(known)) return take_integer(known, key);
    if (known == kF32) return tidy(take<float>(key));
    if (known == kF64) return take<double>(key);
    if (known == kBool) return take<uint8_t>(key) != 0;
    if (known == kString) return take_string(key);
    return take_array(key, nesting);
  }

  GgufValue take_array(const std::string& key, int nesting) {
    if (nesting == kMaxNesting) fail(fmt::format("key \"{}\": arrays nested too deep", key));
    const auto type = take<uint32_t>(key);
    const auto count = take<uint64_t>(key);
    const uint64_t least = least_bytes(type);
    if (least == 0 || count > (bytes_.size() - at_) / least) {
      fail(
          fmt::format("key \"{}\": an array of {} values of type {} does not fit into the {} "
                      "bytes that are left",
                      key, count, type, bytes_.size() - at_));
    }
    const auto known = static_cast<Type>(type);
    std::vector<int64_t> integers;
    std::vector<double> numbers;
    std::vector<std::string> texts;
    for (uint64_t i = 0; i < count; ++i) {
      if (is_integer(known)) integers.push_back(take_integer(known, key));
      if (known == kBool) integers.push_back(take<uint8_t>(key) != 0 ? 1 : 0);
      if (known == kF32) numbers.push_back(tidy(take<float>(key)));
      if (known == kF64) numbers.push_back(take<double>(key));
      if (known == kString) texts.push_back(take_string(key));
      if (known == kArray) take_array(key, nesting + 1);
    }
    if (known == kArray) return {};
    if (known == kString) return texts;
    if (known == kF32 || known == kF64) return numbers;
    return integers;
  }

  void read_key() {
    std::string key = take_string("a key", kMaxName);
    const auto type = take<uint32_t>(key);
    GgufValue value = take_value(type, key, 0);
    if (!file_.metadata_.emplace(key, std::move(value)).second) {
      fail(fmt::format("key \"{}\" is there twice", key));
    }
  }

  // Its offset in the data section; the data itself is placed when the section's begin is known.
  uint64_t read_tensor() {
    std::string name = take_string("a tensor's name", kMaxName);
    const auto rank = take<uint32_t>(name);
    if (rank > kMaxRank) {
      fail(fmt::format("tensor \"{}\": {} dimensions, expected at most {}", name, rank, kMaxRank));
    }
    GgufTensor tensor{};
    int64_t elements = 1;
    for (uint32_t i = 0; i < rank; ++i) {
      const auto size = take<uint64_t>(name);
      if (size == 0 || size > uint64_t{std::numeric_limits<int64_t>::max()} ||
          __builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements)) {
        fail(fmt::format("tensor \"{}\": dimension {} is {}", name, i, size));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    const auto type = take<uint32_t>(name);
    tensor.type = find_gguf_type(type);
    if (tensor.type == nullptr) {
      throw_error(ErrorKind::kUnsupported,
                  "{}: tensor \"{}\": element type {} is not supported; expected {}", file_.origin_,
                  name, type, supported_gguf_types());
    }
    const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (row % tensor.type->elements != 0) {
      fail(fmt::format("tensor \"{}\": rows of {} values, expected a multiple of {} for {}", name,
                       row, tensor.type->elements, tensor.type->name));
    }
    const auto offset = take<uint64_t>(name);
    if (!file_.tensors_.emplace(name, std::move(tensor)).second) {
      fail(fmt::format("tensor \"{}\" is there twice", name));
    }
    names_.push_back(std::move(name));
    return offset;
  }

  void place_tensors(const std::vector<uint64_t>& offsets) {
    const int64_t alignment = file_.size("general.alignment", 1, int64_t{1} << 30, 32);
    if ((alignment & (alignment - 1)) != 0) {
      fail(fmt::format("key \"general.alignment\": {} is no power of two", alignment));
    }
    const auto step = static_cast<uint64_t>(alignment);
    const uint64_t padded = (at_ + step - 1) / step * step;
    const std::span<const std::byte> data =
        bytes_.subspan(std::min<uint64_t>(padded, bytes_.size()));
    std::map<uint64_t, std::pair<uint64_t, const std::string*>> extents;
    for (size_t i = 0; i < names_.size(); ++i) {
      GgufTensor& tensor = file_.tensors_.find(names_[i])->second;
      const auto blocks = static_cast<uint64_t>(tensor.elements() / tensor.type->elements);
      uint64_t size = 0;
      const bool overflow =
          __builtin_mul_overflow(blocks, static_cast<uint64_t>(tensor.type->bytes), &size);
      if (overflow || offsets[i] > data.size() || size > data.size() - offsets[i]) {
        fail(
            fmt::format("tensor \"{}\": {} blocks of {} at offset {} lie outside the data section "
                        "of {} bytes: truncated?",
                        names_[i], blocks, tensor.type->name, offsets[i], data.size()));
      }
      if (offsets[i] % step != 0) {
        fail(fmt::format("tensor \"{}\": offset {} is no multiple of the alignment {}", names_[i],
                         offsets[i], step));
      }
      if (!extents.emplace(offsets[i], std::pair(offsets[i] + size, &names_[i])).second) {
        fail(fmt::format("tensor \"{}\" begins where another does", names_[i]));
      }
      tensor.data = data.subspan(offsets[i], size);
    }
    uint64_t end = 0;
    for (const auto& [begin, extent] : extents) {
      if (begin < end) {
        fail(fmt::format("tensor \"{}\" overlaps the one before it", *extent.second));
      }
      end = extent.first;
    }
  }

  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
  std::vector<std::string> names_;
  GgufFile file_;
};

int64_t GgufTensor::elements() const {
  int64_t total = 1;
  for (const int64_t size : shape) total *= size;
  return total;
}

GgufFile GgufFile::parse(std::span<const std::byte> bytes, const std::string& origin) {
  return GgufParser(bytes, origin).parse();
}

GgufFile GgufFile::open(const std::filesystem::path& file) {
  const std::shared_ptr<const MappedFile> mapped = MappedFile::open(file);
  GgufFile result = parse(mapped->bytes(), file.string());
  result.owner_ = mapped;
  return result;
}

template <class T>
const T* GgufFile::get(std::string_view key, const char* expected) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\": expected {}", origin_, key, expected);
  }
  return value;
}

std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const auto* value = get<int64_t>(key, "an integer");
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found != metadata_.end() && std::holds_alternative<int64_t>(found->second)) {
    return static_cast<double>(std::get<int64_t>(found->second));
  }
  const auto* value = get<double>(key, "a number");
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const auto* value = get<bool>(key, "a boolean");
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::string> GgufFile::text(std::string_view key) const {
  const auto* value = get<std::string>(key, "a string");
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

const std::vector<std::string>* GgufFile::texts(std::string_view key) const {
  return get<std::vector<std::string>>(key, "an array of strings");
}

const std::vector<int64_t>* GgufFile::integers(std::string_view key) const {
  return get<std::vector<int64_t>>(key, "an array of integers");
}

const std::vector<double>* GgufFile::numbers(std::string_view key) const {
  return get<std::vector<double>>(key, "an array of floats");
}

int64_t GgufFile::size(std::string_view key, int64_t least, int64_t most,
                       std::optional<int64_t> fallback) const {
  const std::optional<int64_t> value = integer(key);
  if (!value && fallback) return *fallback;
  if (!value) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\" is missing", origin_, key);
  }
  if (*value < least || *value > most) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\": {}, expected {} to {}", origin_, key,
                *value, least, most);
  }
  return *value;
}

}  // namespace tensormill
