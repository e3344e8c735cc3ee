#include "artifacts/torch_archive.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "artifacts/other_content.h"
#include "base/error.h"

namespace tensormill {
namespace {

static_assert(std::endian::native == std::endian::little, "byte order of the file is compared");

using Kind = Pickle::Kind;

constexpr uint64_t kMaxPickle = uint64_t{1} << 28;
// Tensors that need a copy (transposed, byte-swapped) may take this many times the file together.
constexpr uint64_t kMaxCopies = 4;

// Before torch 1.6 a file began with a pickle of this number: a long of ten bytes.
constexpr uint8_t kMagic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                              0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
constexpr int64_t kChainVersion = 1001;

bool is_chain(std::span<const std::byte> bytes) {
  constexpr size_t kProtocol = 2, kFrame = 9;  // what may stand before the number
  const auto at = [&](size_t i) { return i < bytes.size() ? std::to_integer<int>(bytes[i]) : -1; };
  if (at(0) != 0x80 || at(1) < 2 || at(1) > 5) return false;
  bytes =
      bytes.subspan(at(kProtocol) == 0x95 ? std::min(kProtocol + kFrame, bytes.size()) : kProtocol);
  return bytes.size() >= sizeof kMagic && std::memcmp(bytes.data(), kMagic, sizeof kMagic) == 0;
}

// One past the last element that the tensor touches; none when that overflows.
std::optional<uint64_t> reach(const Pickle::Tensor& tensor) {
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

bool contiguous(const Pickle::Tensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

}  // namespace

bool TorchArchive::is_one(std::span<const std::byte> bytes) {
  return ZipArchive::is_zip(bytes) || is_chain(bytes);
}

TorchArchive::TorchArchive(std::span<const std::byte> bytes, const std::string& origin)
    : bytes_(bytes), origin_(origin) {
  if (ZipArchive::is_zip(bytes)) {
    read_zip();
  } else if (is_chain(bytes)) {
    read_chain();
  } else {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: expected a file of torch.save: a zip archive, or the chain of pickles that "
                "torch before 1.6 wrote{}",
                origin, other_content(bytes));
  }
}

void TorchArchive::fail(const std::string& name, std::string_view what) const {
  throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": {}", origin_, name, what);
}

void TorchArchive::read_zip() {
  zip_.emplace(bytes_, origin_);
  for (const auto& [name, entry] : zip_->entries()) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash) == "/data.pkl") {
      prefix_ = name.substr(0, slash + 1);
      if (entry.unpacked > kMaxPickle) {
        throw_error(ErrorKind::kArtifactInvalid, "{}: {} has {} bytes, expected at most {}",
                    origin_, name, entry.unpacked, kMaxPickle);
      }
    }
  }
  if (prefix_.empty()) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: a zip archive without data.pkl: expected a file of torch.save", origin_);
  }
  if (zip_->has(prefix_ + "constants.pkl")) {
    throw_error(
        ErrorKind::kUnsupported,
        "{}: a TorchScript program; expected the tensors that torch.save(state_dict) writes",
        origin_);
  }
  std::vector<std::shared_ptr<const void>> temporary;
  pickle_ = unpickle(zip_->read(prefix_ + "data.pkl", temporary), origin_);
  swap_ = big_endian();
}

bool TorchArchive::big_endian() {
  const std::string name = prefix_ + "byteorder";
  if (!zip_->has(name)) return false;  // torch before 2.1 wrote little-endian without a marker
  std::vector<std::shared_ptr<const void>> temporary;
  const auto marker = zip_->read(name, temporary);
  const std::string_view text(reinterpret_cast<const char*>(marker.data()), marker.size());
  if (text != "little" && text != "big") {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}: expected \"little\" or \"big\"", origin_,
                name);
  }
  return text == "big";
}

// Pickles: magic number, version, the writer's machine, the object, the storages' keys; then each
// storage's number of elements and its bytes.
void TorchArchive::read_chain() {
  uint64_t at = 0;
  const auto next = [&] {
    size_t used = 0;
    Pickle pickle = unpickle(bytes_.subspan(at), origin_, &used);
    at += used;
    return pickle;
  };
  next();
  const Pickle version = next(), machine = next();
  if (version.at(version.root).number != kChainVersion) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: version {} of torch.save, expected {}", origin_,
                version.at(version.root).number, kChainVersion);
  }
  const std::vector<Pickle::Ref>& facts = machine.at(machine.root).items;
  for (size_t i = 0; i + 1 < facts.size(); i += 2) {
    if (machine.at(facts[i]).text == "little_endian") swap_ = machine.at(facts[i + 1]).number == 0;
  }
  pickle_ = next();
  const Pickle keys = next();
  read_chained_storages(at, keys);
}

void TorchArchive::read_chained_storages(uint64_t at, const Pickle& keys) {
  std::map<std::string_view, const Pickle::Storage*> known;
  for (const Pickle::Storage& storage : pickle_.storages) known[storage.key] = &storage;
  for (const Pickle::Ref ref : keys.at(keys.root).items) {
    const std::string& key = keys.at(ref).text;
    const auto found = known.find(key);
    // One whose type isn't known: where the next one begins isn't either.
    if (found == known.end() || !found->second->typed) return;
    const uint64_t width = dtype_size(found->second->type);
    uint64_t elements = 0, size = 0;
    const bool counted = bytes_.size() - at >= sizeof elements;
    if (counted) {
      std::memcpy(&elements, bytes_.data() + at, sizeof elements);
      if (swap_) elements = __builtin_bswap64(elements);
      at += sizeof elements;
    }
    if (!counted || __builtin_mul_overflow(elements, width, &size) || size > bytes_.size() - at) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: storage \"{}\" lies outside the file of {} bytes (truncated?)", origin_, key,
                  bytes_.size());
    }
    storages_[key] = bytes_.subspan(at, size);
    at += size;
  }
}

std::span<const std::byte> TorchArchive::storage_bytes(const std::string& name,
                                                       const Pickle::Storage& storage) {
  auto found = storages_.find(storage.key);
  if (found == storages_.end()) {
    const std::string entry = prefix_ + "data/" + storage.key;
    if (!zip_ || !zip_->has(entry)) fail(name, fmt::format("its storage \"{}\" is missing", entry));
    found = storages_.emplace(storage.key, zip_->read(entry, owners_)).first;
  }
  return found->second;
}

TensorView TorchArchive::view(const std::string& name, const Pickle::Tensor& tensor) {
  const Pickle::Storage& storage = pickle_.storages[tensor.storage];
  const std::span<const std::byte> bytes = storage_bytes(name, storage);
  const uint64_t width = dtype_size(tensor.type), held = bytes.size() / width;
  const uint64_t declared = static_cast<uint64_t>(storage.elements);
  if (storage.typed ? held != declared || bytes.size() % width != 0 : bytes.size() != declared) {
    fail(name,
         fmt::format("its storage \"{}\" has {} bytes, expected {} elements of {}", storage.key,
                     bytes.size(), declared, storage.typed ? dtype_name(tensor.type) : "one byte"));
  }
  uint64_t elements = 1;
  for (const int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(elements, static_cast<uint64_t>(size), &elements)) {
      fail(name, fmt::format("shape [{}] is too large", fmt::join(tensor.shape, ", ")));
    }
  }
  // A part of a storage has a beginning and an end of its own.
  const bool part = storage.count >= 0;
  const uint64_t first = part ? static_cast<uint64_t>(storage.first) : 0;
  const uint64_t allowed = part ? static_cast<uint64_t>(storage.count) : held;
  const std::optional<uint64_t> end = reach(tensor);
  if (!end || *end > allowed || elements > allowed) {
    fail(name, fmt::format("shape [{}] with strides [{}] at {} exceeds its storage of {} elements",
                           fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "),
                           tensor.offset, allowed));
  }
  const std::byte* data = bytes.data() + (first + static_cast<uint64_t>(tensor.offset)) * width;
  TensorView result{data, tensor.type, tensor.shape};
  if (elements > 0 && !(contiguous(tensor) && !(swap_ && width > 1))) {
    result.data = copy(name, tensor, data, elements);
  }
  return result;
}

const std::byte* TorchArchive::copy(const std::string& name, const Pickle::Tensor& tensor,
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
  owners_.push_back(owned);
  return owned.get();
}

}  // namespace tensormill
