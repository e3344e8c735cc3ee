#include "artifacts/safetensors_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr size_t kHeaderAlignment = 8;

const char* type_name(DType type) {
  switch (type) {
    case DType::kF64:
      return "F64";
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI64:
      return "I64";
    case DType::kI32:
      return "I32";
    case DType::kI16:
      return "I16";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  throw_error(ErrorKind::kInternal, "dtype {} has no safetensors name", static_cast<int>(type));
}

}  // namespace

uint64_t SafetensorsWriter::Entry::bytes() const {
  uint64_t total = dtype_size(type);
  for (const int64_t size : shape) total *= static_cast<uint64_t>(size);
  return total;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& file, std::vector<Entry> entries)
    : file_(file), partial_(file.string() + ".partial"), entries_(std::move(entries)) {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    const size_t wide_a = dtype_size(a.type), wide_b = dtype_size(b.type);
    return wide_a != wide_b ? wide_a > wide_b : a.name < b.name;
  });
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  for (const Entry& entry : entries_) {
    if (header.contains(entry.name)) {
      throw_error(ErrorKind::kInternal, "{}: tensor \"{}\" is written twice", file.string(),
                  entry.name);
    }
    const uint64_t end = expected_ + entry.bytes();
    header[entry.name] = {{"dtype", type_name(entry.type)},
                          {"shape", entry.shape},
                          {"data_offsets", {expected_, end}}};
    expected_ = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const uint64_t length = text.size();
  errno = 0;
  stream_.open(partial_, std::ios::binary | std::ios::trunc);
  check();
  stream_.write(reinterpret_cast<const char*>(&length), sizeof length);
  stream_.write(text.data(), static_cast<std::streamsize>(text.size()));
  check();
}

SafetensorsWriter::~SafetensorsWriter() {
  if (finished_) return;
  stream_.close();
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
}

void SafetensorsWriter::check() const {
  if (stream_) return;
  throw_error(ErrorKind::kInternal, "{}: could not be written: {}", partial_.string(),
              errno != 0 ? std::strerror(errno) : "unknown reason");
}

void SafetensorsWriter::write(const void* data, size_t bytes) {
  if (bytes > expected_ - written_) {
    throw_error(ErrorKind::kInternal, "{}: more than the {} bytes announced", file_.string(),
                expected_);
  }
  errno = 0;
  stream_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  check();
  written_ += bytes;
}

void SafetensorsWriter::finish() {
  if (written_ != expected_) {
    throw_error(ErrorKind::kInternal, "{}: {} bytes of tensors written, expected {}",
                file_.string(), written_, expected_);
  }
  errno = 0;
  stream_.close();
  check();
  std::error_code failure;
  std::filesystem::rename(partial_, file_, failure);
  if (failure) {
    throw_error(ErrorKind::kInternal, "{}: could not be written: {}", file_.string(),
                failure.message());
  }
  finished_ = true;
}

}  // namespace tensormill
