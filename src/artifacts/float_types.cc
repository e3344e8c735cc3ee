#include "artifacts/float_types.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "artifacts/half.h"
#include "base/error.h"

namespace tensormill {
namespace {

constexpr size_t kChunk = size_t{1} << 20;  // values

template <class T, class F>
void widen_each(const void* in, size_t count, float* out, F convert) {
  const auto* bytes = static_cast<const std::byte*>(in);
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof value, sizeof value);
    out[i] = convert(value);
  }
}

// Some rows at a time, of the type that they turn out to have.
void write_rows(const TensorIndex& index, const NamedTensor& tensor, DType type,
                SafetensorsWriter& writer) {
  const int64_t rows = tensor.view.shape.empty() ? 1 : tensor.view.shape[0];
  if (tensor.view.elements() == 0) return;
  const int64_t width = tensor.view.elements() / rows;
  const int64_t at_once = std::max<int64_t>(1, static_cast<int64_t>(kChunk) / width);
  std::vector<float> wide;
  std::vector<std::byte> narrow_bytes;
  for (int64_t first = 0; first < rows; first += at_once) {
    const TensorValues values = index.read(tensor, first, std::min(at_once, rows - first));
    const auto count = static_cast<size_t>(values.view.elements());
    if (values.view.type == type) {
      writer.write(values.view.data, count * dtype_size(type));
      continue;
    }
    wide.resize(count);
    widen(values.view.data, values.view.type, count, wide.data());
    narrow_bytes.clear();
    narrow(wide.data(), count, type, tensor.name, narrow_bytes);
    writer.write(narrow_bytes.data(), narrow_bytes.size());
  }
}

}  // namespace

bool is_float(DType type) {
  return type == DType::kF64 || type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

void widen(const void* in, DType type, size_t count, float* out) {
  switch (type) {
    case DType::kF64:
      return widen_each<double>(in, count, out, [](double v) { return static_cast<float>(v); });
    case DType::kF32:
      return widen_each<float>(in, count, out, [](float v) { return v; });
    case DType::kF16:
      return widen_each<uint16_t>(in, count, out, half_to_float);
    case DType::kBF16:
      return widen_each<uint16_t>(in, count, out, bfloat16_to_float);
    default:
      throw_error(ErrorKind::kInternal, "{} is no float type", dtype_name(type));
  }
}

void narrow(const float* in, size_t count, DType type, const std::string& tensor,
            std::vector<std::byte>& out) {
  const size_t begin = out.size();
  out.resize(begin + count * dtype_size(type));
  std::byte* bytes = out.data() + begin;
  if (type == DType::kF32) {
    std::memcpy(bytes, in, count * sizeof(float));
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    const uint16_t value = type == DType::kF16 ? float_to_half(in[i]) : float_to_bfloat16(in[i]);
    if (type == DType::kF16 && (value & 0x7fff) == 0x7c00 && std::isfinite(in[i])) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "tensor \"{}\": {} is beyond float16's range; expected --dtype bf16 or f32",
                  tensor, in[i]);
    }
    std::memcpy(bytes + i * sizeof value, &value, sizeof value);
  }
}

void write_checkpoint(const TensorIndex& index, const DType* type,
                      const std::filesystem::path& file, const Progress& progress) {
  std::vector<SafetensorsWriter::Entry> entries;
  uint64_t total = 0, done = 0;
  for (const NamedTensor& tensor : index.tensors()) {
    const bool converted = type != nullptr && is_float(tensor.view.type);
    entries.push_back({tensor.name, converted ? *type : tensor.view.type, tensor.view.shape});
    total += entries.back().bytes();
  }
  SafetensorsWriter writer(file, std::move(entries));
  for (const SafetensorsWriter::Entry& entry : writer.entries()) {
    const NamedTensor& tensor = *index.find(entry.name);
    write_rows(index, tensor, entry.type, writer);
    index.release(tensor);
    progress(done += entry.bytes(), total);
  }
  writer.finish();
}

}  // namespace tensormill
