#include "artifacts/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace tensormill {
namespace {

// Signatures and the sizes of the records' fixed parts, from the format's description (APPNOTE).
constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr size_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                 kLocatorBytes = 20, kMaxComment = 65535;
constexpr uint16_t kStored = 0, kDeflated = 8, kEncrypted = 1, kZip64Extra = 1;
constexpr uint32_t kIn64 = 0xffffffff;  // the value stands in the zip64 record
// Weights hardly compress: an archive that swells more than this is no checkpoint.
constexpr uint64_t kMaxSwelling = 64, kSwellingFloor = uint64_t{1} << 20;

template <class T>
T load(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Replaces the fields that are 0xffffffff by those of the zip64 extra field, in their order.
bool widen(std::span<const std::byte> extra, std::initializer_list<uint64_t*> fields) {
  for (size_t at = 0; at + 4 <= extra.size();) {
    const auto id = load<uint16_t>(extra, at), size = load<uint16_t>(extra, at + 2);
    at += 4;
    if (size > extra.size() - at) return false;
    if (id == kZip64Extra) {
      size_t place = 0;
      for (uint64_t* field : fields) {
        if (*field != kIn64) continue;
        if (place + 8 > size) return false;
        *field = load<uint64_t>(extra, at + place);
        place += 8;
      }
      return true;
    }
    at += size;
  }
  return std::all_of(fields.begin(), fields.end(), [](const uint64_t* f) { return *f != kIn64; });
}

}  // namespace

bool ZipArchive::is_zip(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 && load<uint32_t>(bytes, 0) == kLocalHeader;
}

std::span<const std::byte> ZipArchive::slice(uint64_t offset, uint64_t size,
                                             const char* what) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: {} of {} bytes at offset {} lies outside the file of {} bytes (truncated?)",
                origin_, what, size, offset, bytes_.size());
  }
  return bytes_.subspan(offset, size);
}

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string origin)
    : bytes_(bytes), origin_(std::move(origin)) {
  size_t end = bytes.size();
  for (size_t back = kEndBytes; back <= std::min(bytes.size(), kEndBytes + kMaxComment); ++back) {
    if (load<uint32_t>(bytes, bytes.size() - back) == kEnd) {
      end = bytes.size() - back;
      break;
    }
  }
  if (end == bytes.size()) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: the zip archive has no end record: the file is truncated", origin_);
  }
  uint64_t count = load<uint16_t>(bytes, end + 10), size = load<uint32_t>(bytes, end + 12),
           offset = load<uint32_t>(bytes, end + 16);
  if (end >= kLocatorBytes && load<uint32_t>(bytes, end - kLocatorBytes) == kEnd64Locator) {
    const auto place = load<uint64_t>(bytes, end - kLocatorBytes + 8);
    const auto record = slice(place, kEnd64Bytes, "zip64 end record");
    if (load<uint32_t>(record, 0) != kEnd64) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: no zip64 end record at offset {}", origin_,
                  place);
    }
    count = load<uint64_t>(record, 32);
    size = load<uint64_t>(record, 40);
    offset = load<uint64_t>(record, 48);
  }
  read_directory(offset, size, count);
}

void ZipArchive::read_directory(uint64_t offset, uint64_t size, uint64_t count) {
  const auto directory = slice(offset, size, "zip directory");
  size_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (directory.size() - at < kEntryBytes || load<uint32_t>(directory, at) != kDirectoryEntry) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: zip directory: entry {} of {} is malformed",
                  origin_, i, count);
    }
    const auto fixed = directory.subspan(at, kEntryBytes);
    const size_t name_bytes = load<uint16_t>(fixed, 28), extra_bytes = load<uint16_t>(fixed, 30),
                 comment_bytes = load<uint16_t>(fixed, 32);
    at += kEntryBytes;
    if (name_bytes + extra_bytes + comment_bytes > directory.size() - at) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: zip directory: entry {} of {} is truncated",
                  origin_, i, count);
    }
    const std::string name(reinterpret_cast<const char*>(directory.data()) + at, name_bytes);
    Entry entry{load<uint32_t>(fixed, 42), load<uint32_t>(fixed, 20), load<uint32_t>(fixed, 24),
                load<uint16_t>(fixed, 10)};
    if (!widen(directory.subspan(at + name_bytes, extra_bytes),
               {&entry.unpacked, &entry.packed, &entry.header})) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: zip entry \"{}\": malformed zip64 sizes",
                  origin_, name);
    }
    const bool encrypted = (load<uint16_t>(fixed, 8) & kEncrypted) != 0;
    if (encrypted || (entry.method != kStored && entry.method != kDeflated)) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: zip entry \"{}\": {}, expected stored or deflated bytes", origin_, name,
                  encrypted ? "encrypted" : fmt::format("compression method {}", entry.method));
    }
    if (!entries_.emplace(name, entry).second) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: zip entry \"{}\" is there twice", origin_,
                  name);
    }
    at += name_bytes + extra_bytes + comment_bytes;
  }
}

std::span<const std::byte> ZipArchive::read(const std::string& name,
                                            std::vector<std::shared_ptr<const void>>& owners) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: zip entry \"{}\" is missing", origin_, name);
  }
  const Entry& entry = found->second;
  const auto header = slice(entry.header, kLocalBytes, "zip entry header");
  if (load<uint32_t>(header, 0) != kLocalHeader) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: zip entry \"{}\": no header at offset {}",
                origin_, name, entry.header);
  }
  const uint64_t data =
      entry.header + kLocalBytes + load<uint16_t>(header, 26) + load<uint16_t>(header, 28);
  const auto packed = slice(data, entry.packed, "zip entry");
  if (entry.method == kStored) {
    if (entry.unpacked != entry.packed) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: zip entry \"{}\": stored in {} bytes, {} expected", origin_, name,
                  entry.packed, entry.unpacked);
    }
    return packed;
  }
  const uint64_t limit = std::max(bytes_.size() * kMaxSwelling, kSwellingFloor);
  if (entry.unpacked > limit - inflated_) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: zip entry \"{}\": inflates to {} bytes, more than {} times the file", origin_,
                name, entry.unpacked, kMaxSwelling);
  }
  inflated_ += entry.unpacked;
  std::shared_ptr<std::byte[]> out(new std::byte[entry.unpacked]);
  z_stream stream{};
  bool good = entry.packed <= std::numeric_limits<uInt>::max() &&
              entry.unpacked <= std::numeric_limits<uInt>::max() &&
              inflateInit2(&stream, -MAX_WBITS) == Z_OK;
  if (good) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    stream.avail_in = static_cast<uInt>(entry.packed);
    stream.next_out = reinterpret_cast<Bytef*>(out.get());
    stream.avail_out = static_cast<uInt>(entry.unpacked);
    good = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0;
    inflateEnd(&stream);
  }
  if (!good) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: zip entry \"{}\": expected deflated data of {} bytes (at most 4 GiB)", origin_,
                name, entry.unpacked);
  }
  owners.push_back(out);
  return {out.get(), entry.unpacked};
}

}  // namespace tensormill
