#include "artifacts/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string_view>

#include "artifacts/other_content.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mmap.h"

namespace tensormill {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the format's own library
constexpr int kMaxHeaderDepth = 4;            // {"name": {"shape": [1]}}, with one to spare
constexpr size_t kMaxRank = 16;

struct TypeName {
  std::string_view name;
  DType type;
};
constexpr TypeName kTypes[] = {{"F64", DType::kF64},   {"F32", DType::kF32}, {"F16", DType::kF16},
                               {"BF16", DType::kBF16}, {"I64", DType::kI64}, {"I32", DType::kI32},
                               {"I16", DType::kI16},   {"I8", DType::kI8},   {"U8", DType::kU8},
                               {"BOOL", DType::kBool}};

// A tensor's place in the data section.
struct Extent {
  uint64_t begin, end;
  size_t tensor;
};

[[noreturn]] void fail(const std::string& origin, std::string_view tensor, std::string_view what) {
  throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": {}", origin, tensor, what);
}

Json parse_header(std::string_view text, const std::string& origin) {
  std::vector<std::set<std::string>> keys(kMaxHeaderDepth + 2);
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxHeaderDepth) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: header nested deeper than {} levels", origin,
                  kMaxHeaderDepth);
    }
    const auto level = static_cast<size_t>(std::max(depth, 0));
    if (event == Json::parse_event_t::object_start) keys[level + 1].clear();
    if (event == Json::parse_event_t::key && !keys[level].insert(value.get<std::string>()).second) {
      fail(origin, value.get<std::string>(), "the header names it twice");
    }
    return true;
  };
  try {
    Json header = Json::parse(text, check);
    if (!header.is_object()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: header: expected a JSON object", origin);
    }
    return header;
  } catch (const Json::parse_error& error) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: header is no valid JSON at byte {}", origin,
                kLengthBytes + error.byte);
  } catch (const Json::out_of_range&) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: the header has a number beyond a double's range",
                origin);
  }
}

DType read_type(const Json& entry, const std::string& origin, std::string_view name) {
  const auto field = entry.find("dtype");
  if (field == entry.end() || !field->is_string()) {
    fail(origin, name, "\"dtype\": expected a string");
  }
  const auto& text = field->get_ref<const std::string&>();
  for (const TypeName& type : kTypes) {
    if (type.name == text) return type.type;
  }
  throw_error(ErrorKind::kUnsupported,
              "{}: tensor \"{}\": dtype \"{}\" is not supported; expected F64, F32, F16, BF16, "
              "I64, I32, I16, I8, U8 or BOOL",
              origin, name, text);
}

std::vector<int64_t> read_shape(const Json& entry, const std::string& origin,
                                std::string_view name) {
  const auto field = entry.find("shape");
  if (field == entry.end() || !field->is_array() || field->size() > kMaxRank) {
    fail(origin, name, fmt::format("\"shape\": expected an array of at most {} sizes", kMaxRank));
  }
  std::vector<int64_t> shape;
  for (const Json& size : *field) {
    if (!size.is_number_unsigned() ||
        size.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
      fail(origin, name, fmt::format("\"shape\": {} is no size", size.dump()));
    }
    shape.push_back(size.get<int64_t>());
  }
  return shape;
}

// Bytes of a tensor; none when the product overflows.
std::optional<uint64_t> byte_count(const std::vector<int64_t>& shape, DType type) {
  uint64_t bytes = dtype_size(type);
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes)) return std::nullopt;
  }
  return bytes;
}

Extent read_extent(const Json& entry, const TensorView& view, uint64_t data_bytes,
                   const std::string& origin, std::string_view name) {
  const auto field = entry.find("data_offsets");
  if (field == entry.end() || !field->is_array() || field->size() != 2 ||
      !(*field)[0].is_number_unsigned() || !(*field)[1].is_number_unsigned()) {
    fail(origin, name, "\"data_offsets\": expected [begin, end]");
  }
  const Extent extent{(*field)[0].get<uint64_t>(), (*field)[1].get<uint64_t>(), 0};
  if (extent.begin > extent.end || extent.end > data_bytes) {
    fail(origin, name,
         fmt::format("bytes {} to {} lie outside the file's data section of {} bytes", extent.begin,
                     extent.end, data_bytes));
  }
  const std::optional<uint64_t> expected = byte_count(view.shape, view.type);
  if (!expected || *expected != extent.end - extent.begin) {
    fail(origin, name,
         fmt::format("shape [{}] of {} needs {} bytes, its offsets span {}",
                     fmt::join(view.shape, ", "), dtype_name(view.type),
                     expected ? fmt::to_string(*expected) : "more than 2^64",
                     extent.end - extent.begin));
  }
  return extent;
}

// Where the tensors end, which follow each other without gaps.
uint64_t check_gaps(std::vector<Extent> extents, const std::vector<NamedTensor>& tensors,
                    const std::string& origin) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t place = 0;
  for (const Extent& extent : extents) {
    const std::string& name = tensors[extent.tensor].name;
    if (extent.begin < place) {
      fail(origin, name,
           fmt::format("begins at byte {}, inside the tensor before it, which ends at {}",
                       extent.begin, place));
    }
    if (extent.begin > place) {
      fail(origin, name,
           fmt::format("begins at byte {}, expected {}: the bytes between belong to no tensor",
                       extent.begin, place));
    }
    place = extent.end;
  }
  return place;
}

}  // namespace

TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& origin,
                             bool may_lack_data) {
  if (bytes.size() < kLengthBytes) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: {} bytes, expected a safetensors file of at least {}{}", origin, bytes.size(),
                kLengthBytes, other_content(bytes));
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > kMaxHeader || header_bytes > bytes.size() - kLengthBytes) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: header of {} bytes, expected at most {}: truncated, or no safetensors file{}",
                origin, header_bytes, std::min<uint64_t>(kMaxHeader, bytes.size() - kLengthBytes),
                other_content(bytes));
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + kLengthBytes;
  const Json header = parse_header({text, header_bytes}, origin);
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + header_bytes);
  const bool lacks_data = may_lack_data && data.empty();
  const uint64_t data_bytes = lacks_data ? std::numeric_limits<uint64_t>::max() : data.size();

  TensorFile file;
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    if (!entry.is_object()) fail(origin, name, "expected an object with dtype, shape, offsets");
    NamedTensor tensor{name, {}, origin};
    tensor.view.type = read_type(entry, origin, name);
    tensor.view.shape = read_shape(entry, origin, name);
    Extent extent = read_extent(entry, tensor.view, data_bytes, origin, name);
    extent.tensor = file.tensors.size();
    extents.push_back(extent);
    file.tensors.push_back(std::move(tensor));
  }
  const uint64_t end = check_gaps(extents, file.tensors, origin);
  if (!lacks_data && end != data_bytes) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: the tensors end at byte {} of the data section, the file has {}", origin, end,
                data_bytes);
  }
  for (const Extent& extent : extents) {
    if (lacks_data) break;
    file.tensors[extent.tensor].view.data =
        data.subspan(extent.begin, extent.end - extent.begin).data();
  }
  std::sort(file.tensors.begin(), file.tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  return file;
}

namespace {

TensorFile read(const std::filesystem::path& file, bool may_lack_data) {
  const std::shared_ptr<const MappedFile> mapped = MappedFile::open(file);
  TensorFile result = parse_safetensors(mapped->bytes(), file.string(), may_lack_data);
  result.mapped.push_back(mapped);
  return result;
}

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& file) {
  return read(file, false);
}

TensorFile read_safetensors_header(const std::filesystem::path& file) {
  return read(file, true);
}

}  // namespace tensormill
