#include "artifacts/torch_checkpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <optional>

#include "artifacts/unpickler.h"
#include "artifacts/zip.h"
#include "base/error.h"
#include "base/mmap.h"

namespace tensormill {
namespace {

static_assert(std::endian::native == std::endian::little, "byte order of the file is compared");

using Kind = Pickle::Kind;

constexpr uint64_t kMaxPickle = uint64_t{1} << 28;
constexpr int kMaxWrappers = 4;  // {"model": {"module": {...}}}
// Tensors that need a copy (transposed, byte-swapped) may take this many times the file together.
constexpr uint64_t kMaxCopies = 4;

class TorchReader {
 public:
  TorchReader(std::span<const std::byte> bytes, const std::string& origin)
      : origin_(origin), bytes_(bytes), zip_(bytes, origin) {
    for (const auto& [name, entry] : zip_.entries()) {
      const size_t slash = name.find('/');
      if (slash != std::string::npos && name.substr(slash) == "/data.pkl") {
        prefix_ = name.substr(0, slash + 1);
        if (entry.unpacked > kMaxPickle) {
          throw_error(ErrorKind::kArtifactInvalid, "{}: {} has {} bytes, expected at most {}",
                      origin, name, entry.unpacked, kMaxPickle);
        }
      }
    }
    if (prefix_.empty()) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: a zip archive without data.pkl: expected a file of torch.save", origin);
    }
    std::vector<std::shared_ptr<const void>> temporary;
    pickle_ = unpickle(zip_.read(prefix_ + "data.pkl", temporary), origin);
    swap_ = big_endian(temporary);
  }

  TensorFile read() {
    std::map<std::string, const Pickle::Value*> named;
    const Pickle::Value& dict = state_dict();
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const Pickle::Value& key = pickle_.at(dict.items[i]);
      if (key.kind == Kind::kString) named[key.text] = &pickle_.at(dict.items[i + 1]);
    }
    for (const auto& [name, value] : named) {
      if (value->kind == Kind::kInert && value->carries_data) {
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: tensor \"{}\" depends on \"{}\", which is not a tensor of plain torch and "
                    "is never called",
                    origin_, name, value->text);
      }
      if (value->kind != Kind::kTensor) continue;
      const Pickle::Tensor& tensor = pickle_.tensors[static_cast<size_t>(value->number)];
      file_.tensors.push_back({name, view(name, tensor), origin_});
    }
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const std::string& name, std::string_view what) const {
    throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": {}", origin_, name, what);
  }

  bool big_endian(std::vector<std::shared_ptr<const void>>& temporary) {
    const std::string name = prefix_ + "byteorder";
    if (!zip_.has(name)) return false;  // torch before 2.1 wrote little-endian without a marker
    const auto marker = zip_.read(name, temporary);
    const std::string_view text(reinterpret_cast<const char*>(marker.data()), marker.size());
    if (text != "little" && text != "big") {
      throw_error(ErrorKind::kArtifactInvalid, "{}: {}: expected \"little\" or \"big\"", origin_,
                  name);
    }
    return text == "big";
  }

  bool has_tensor(const Pickle::Value& dict) const {
    for (size_t i = 1; i < dict.items.size(); i += 2) {
      const Pickle::Value& value = pickle_.at(dict.items[i]);
      if (value.kind == Kind::kTensor || (value.kind == Kind::kInert && value.carries_data)) {
        return true;
      }
    }
    return false;
  }

  // What the file would have had called where tensors were expected; empty if nothing.
  std::string called_instead(const Pickle::Value& value) const {
    const auto note = [](std::string_view what, std::string_view global) {
      return fmt::format("; {} is the result of \"{}\", which is never called", what, global);
    };
    if (value.kind == Kind::kInert) return note("this file", value.text);
    if (value.kind != Kind::kDict) return "";
    for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const Pickle::Value& key = pickle_.at(value.items[i]);
      const Pickle::Value& item = pickle_.at(value.items[i + 1]);
      if (key.kind == Kind::kString && item.kind == Kind::kInert) {
        return note(fmt::format("\"{}\"", key.text), item.text);
      }
    }
    return "";
  }

  // The dictionary that holds the tensors: the top one, or the one that a trainer wrapped.
  const Pickle::Value& state_dict() const {
    const Pickle::Value* dict = &pickle_.at(pickle_.root);
    for (int depth = 0; depth < kMaxWrappers; ++depth) {
      if (dict->kind != Kind::kDict) break;
      if (has_tensor(*dict)) return *dict;
      const Pickle::Value* inner = nullptr;
      for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
        const Pickle::Value& key = pickle_.at(dict->items[i]);
        const Pickle::Value& value = pickle_.at(dict->items[i + 1]);
        if (key.kind == Kind::kString && value.kind == Kind::kDict &&
            (key.text == "state_dict" || key.text == "model" || key.text == "module")) {
          inner = &value;
          break;
        }
      }
      if (inner == nullptr) break;
      dict = inner;
    }
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: expected a dictionary of tensors, or one under \"state_dict\", \"model\" or "
                "\"module\"{}",
                origin_, called_instead(*dict));
  }

  std::span<const std::byte> storage_bytes(const std::string& name,
                                           const Pickle::Storage& storage) {
    auto found = storages_.find(storage.key);
    if (found == storages_.end()) {
      const std::string entry = prefix_ + "data/" + storage.key;
      if (!zip_.has(entry)) fail(name, fmt::format("its storage \"{}\" is missing", entry));
      found = storages_.emplace(storage.key, zip_.read(entry, file_.owners)).first;
    }
    return found->second;
  }

  // One past the last element that the tensor touches; none when that overflows.
  static std::optional<uint64_t> reach(const Pickle::Tensor& tensor) {
    auto last = static_cast<uint64_t>(tensor.offset);
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      if (tensor.shape[i] == 0) return last;
      uint64_t step = 0;
      if (__builtin_mul_overflow(static_cast<uint64_t>(tensor.shape[i] - 1),
                                 static_cast<uint64_t>(tensor.strides[i]), &step) ||
          __builtin_add_overflow(last, step, &last)) {
        return std::nullopt;
      }
    }
    if (__builtin_add_overflow(last, uint64_t{1}, &last)) return std::nullopt;
    return last;
  }

  static bool contiguous(const Pickle::Tensor& tensor) {
    int64_t expected = 1;
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
      expected *= tensor.shape[i];
    }
    return true;
  }

  TensorView view(const std::string& name, const Pickle::Tensor& tensor) {
    const Pickle::Storage& storage = pickle_.storages[tensor.storage];
    const std::span<const std::byte> bytes = storage_bytes(name, storage);
    const uint64_t width = dtype_size(tensor.type), held = bytes.size() / width;
    const uint64_t declared = static_cast<uint64_t>(storage.elements);
    if (storage.typed ? held != declared || bytes.size() % width != 0 : bytes.size() != declared) {
      fail(name, fmt::format("its storage \"{}\" has {} bytes, expected {} elements of {}",
                             storage.key, bytes.size(), declared,
                             storage.typed ? dtype_name(tensor.type) : "one byte"));
    }
    uint64_t elements = 1;
    for (const int64_t size : tensor.shape) {
      if (__builtin_mul_overflow(elements, static_cast<uint64_t>(size), &elements)) {
        fail(name, fmt::format("shape [{}] is too large", fmt::join(tensor.shape, ", ")));
      }
    }
    const std::optional<uint64_t> end = reach(tensor);
    if (!end || *end > held || elements > held) {
      fail(name,
           fmt::format("shape [{}] with strides [{}] at {} exceeds its storage of {} elements",
                       fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "),
                       tensor.offset, held));
    }
    const std::byte* data = bytes.data() + static_cast<uint64_t>(tensor.offset) * width;
    TensorView result{data, tensor.type, tensor.shape};
    const bool aligned = reinterpret_cast<uintptr_t>(data) % width == 0;
    if (elements > 0 && !(contiguous(tensor) && aligned && !(swap_ && width > 1))) {
      result.data = copy(name, tensor, data, elements);
    }
    return result;
  }

  // The tensor's elements in row-major order, in the machine's byte order.
  const std::byte* copy(const std::string& name, const Pickle::Tensor& tensor,
                        const std::byte* source, uint64_t elements) {
    const size_t width = dtype_size(tensor.type);
    copied_ += elements * width;
    if (copied_ > bytes_.size() * kMaxCopies) {
      fail(name, fmt::format("the copies of strided tensors exceed {} times the file", kMaxCopies));
    }
    std::shared_ptr<std::byte[]> owned(new std::byte[elements * width]);
    std::byte* out = owned.get();
    std::vector<int64_t> index(tensor.shape.size(), 0);
    uint64_t place = 0;
    for (uint64_t i = 0; i < elements; ++i, out += width) {
      std::memcpy(out, source + place * width, width);
      if (swap_) std::reverse(out, out + width);
      for (size_t axis = index.size(); axis-- > 0;) {
        const auto stride = static_cast<uint64_t>(tensor.strides[axis]);
        place += stride;
        if (++index[axis] < tensor.shape[axis]) break;
        place -= stride * static_cast<uint64_t>(index[axis]);
        index[axis] = 0;
      }
    }
    file_.owners.push_back(owned);
    return owned.get();
  }

  const std::string& origin_;
  std::span<const std::byte> bytes_;
  ZipArchive zip_;
  std::string prefix_;
  Pickle pickle_;
  bool swap_ = false;
  uint64_t copied_ = 0;
  std::map<std::string, std::span<const std::byte>> storages_;
  TensorFile file_;
};

}  // namespace

TensorFile parse_torch_checkpoint(std::span<const std::byte> bytes, const std::string& origin) {
  if (!ZipArchive::is_zip(bytes)) {
    if (bytes.size() > 1 && (bytes[0] == std::byte{0x80} || bytes[0] == std::byte{'.'})) {
      throw_error(ErrorKind::kUnsupported,
                  "{}: legacy format, torch before 1.6: load it with torch and save it again, best "
                  "as safetensors",
                  origin);
    }
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: expected a zip archive of torch.save, found neither that nor the legacy "
                "format, torch before 1.6",
                origin);
  }
  return TorchReader(bytes, origin).read();
}

TensorFile read_torch_checkpoint(const std::filesystem::path& file) {
  const std::shared_ptr<const MappedFile> mapped = MappedFile::open(file);
  const std::string origin = file.string();
  TensorFile result = parse_torch_checkpoint(mapped->bytes(), origin);
  result.mapped.push_back(mapped);
  return result;
}

}  // namespace tensormill
