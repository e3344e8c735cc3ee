#include "models/loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "ops/pack.h"
#include "tensor/convert.h"

namespace tensormill {
namespace {

constexpr const char* kStage = "loading weights";

int64_t stored_bytes(const PlannedTensor& tensor) {
  const int64_t elements = tensor.count > 0
                               ? tensor.count * (tensor.shape.size() > 1 ? tensor.shape[1] : 1)
                               : tensor.stored->view.elements();
  return elements * static_cast<int64_t>(dtype_size(tensor.stored->view.type));
}

// The stored values at an address that their type allows; `copy` holds them where the file's isn't.
const void* aligned(const TensorView& view, Buffer& copy) {
  const size_t size = dtype_size(view.type);
  if (reinterpret_cast<uintptr_t>(view.data) % size == 0) return view.data;
  const size_t bytes = static_cast<size_t>(view.elements()) * size;
  copy = Buffer(bytes, "an unaligned tensor");
  std::memcpy(copy.data(), view.data, bytes);
  return copy.data();
}

// Source row of each packed row from first_row on, -1 for those of another tensor; empty: in order.
std::vector<int32_t> row_map(const PlannedTensor& tensor, int32_t rows) {
  std::vector<int32_t> map;
  if (tensor.halves != Halves::kNone) {
    const bool gate_first = tensor.halves == Halves::kGateUp;
    for (int32_t r = 0; r < rows; ++r) {
      map.push_back(r / 2 + ((r % 2 == 0) == gate_first ? 0 : rows / 2));
    }
    return map;
  }
  if (tensor.map == nullptr && tensor.step == 1) return map;
  const auto step = static_cast<size_t>(tensor.step);
  map.assign(static_cast<size_t>(rows - 1) * step + 1, -1);
  for (int32_t r = 0; r < rows; ++r) {
    map[static_cast<size_t>(r) * step] =
        tensor.map == nullptr ? r : tensor.map(*tensor.attention, r);
  }
  return map;
}

class Filler {
 public:
  Filler(WeightFormat format, const LoadContext& context) : format_(format), context_(context) {}

  void fill(const PlannedTensor& tensor) {
    Buffer copy;
    const void* data = aligned(tensor.stored->view, copy);
    switch (tensor.target) {
      case PlannedTensor::Target::kWeight:
        return weight(tensor, data);
      case PlannedTensor::Target::kBias:
        return bias(tensor, data);
      case PlannedTensor::Target::kNorm:
        return norm(tensor, data);
      case PlannedTensor::Target::kTable:
        return table(tensor, data);
    }
  }

 private:
  void table(const PlannedTensor& tensor, const void* data) const {
    const DType type = tensor.stored->view.type, to_type = plain_type(format_);
    const int64_t values = tensor.stored->view.elements();
    if (tensor.row_width == 0) return whole_table({data, type, {values}}, *tensor.buffer);
    auto* to = static_cast<std::byte*>(tensor.buffer->host());
    const auto* from = static_cast<const std::byte*>(data);
    const int64_t width = tensor.shape.back();
    to += static_cast<size_t>(tensor.first_column) * dtype_size(to_type);
    for (int64_t row = 0; row * width < values; ++row) {
      convert(from + static_cast<size_t>(row * width) * dtype_size(type), type,
              to + static_cast<size_t>(row * tensor.row_width) * dtype_size(to_type), to_type,
              width);
    }
  }

  // Without a mirror on the host: as it lies in the file, or converted some values at a time.
  void whole_table(const TensorView& from, const Buffer& to) const {
    constexpr int64_t kSome = int64_t{4} << 20;
    const DType to_type = plain_type(format_);
    const size_t size = dtype_size(from.type), to_size = dtype_size(to_type);
    const int64_t values = from.elements();
    if (from.type == to_type) {
      return context_.device.upload(to.data(), from.data, static_cast<size_t>(values) * size);
    }
    std::vector<std::byte> some(static_cast<size_t>(std::min(kSome, values)) * to_size);
    for (int64_t first = 0; first < values; first += kSome) {
      const auto at = static_cast<size_t>(first);
      const int64_t count = std::min(kSome, values - first);
      convert(static_cast<const std::byte*>(from.data) + at * size, from.type, some.data(), to_type,
              count);
      context_.device.upload(to.as<std::byte>() + at * to_size, some.data(),
                             static_cast<size_t>(count) * to_size);
    }
  }

  static void norm(const PlannedTensor& tensor, const void* data) {
    float* to = static_cast<float*>(tensor.buffer->host()) + tensor.first_row;
    const int64_t count = tensor.stored->view.elements();
    convert(data, tensor.stored->view.type, to, DType::kF32, count);
    for (int64_t i = 0; i < count; ++i) to[i] += tensor.plus;
  }

  void weight(const PlannedTensor& tensor, const void* data) {
    const LinearSpec& spec = tensor.linear->spec();
    auto rows = static_cast<int32_t>(tensor.shape[tensor.transposed ? 1 : 0]);
    if (tensor.count > 0) {
      const int64_t bytes = tensor.from * tensor.shape[1] *
                            static_cast<int64_t>(dtype_size(tensor.stored->view.type));
      data = static_cast<const std::byte*>(data) + bytes;
      if (!tensor.transposed) rows = tensor.count;
    }
    if (tensor.unit_rows) return unit_rows(tensor, data, rows);
    const std::vector<int32_t> map = row_map(tensor, rows);
    pack_rows(*tensor.linear, tensor.copy,
              {data, tensor.stored->view.type, tensor.transposed, rows, spec.inner,
               map.empty() ? nullptr : map.data(), tensor.first_row,
               map.empty() ? rows : static_cast<int32_t>(map.size())});
  }

  // Some panels at a time: a vocabulary's rows in float32 would be large.
  void unit_rows(const PlannedTensor& tensor, const void* data, int32_t rows) {
    constexpr int32_t kRows = 16 * kPanel;
    constexpr double kLeast = 1e-12;  // the reference's, for rows of zeros
    const LinearSpec& spec = tensor.linear->spec();
    const DType type = tensor.stored->view.type;
    const auto inner = static_cast<size_t>(spec.inner);
    std::vector<float> some(kRows * inner);
    for (int32_t first = 0; first < rows; first += kRows) {
      const int32_t count = std::min(kRows, rows - first);
      const size_t at = static_cast<size_t>(first) * inner * dtype_size(type);
      convert(static_cast<const std::byte*>(data) + at, type, some.data(), DType::kF32,
              int64_t{count} * spec.inner);
      for (size_t r = 0; r < static_cast<size_t>(count); ++r) {
        float* row = &some[r * inner];
        const double square = std::inner_product(row, row + inner, row, 0.0);
        const auto length = static_cast<float>(std::max(std::sqrt(square), kLeast));
        for (size_t i = 0; i < inner; ++i) row[i] /= length;
      }
      pack_rows(*tensor.linear, 0,
                {some.data(), DType::kF32, false, count, spec.inner, nullptr, first, count});
    }
  }

  void pack_rows(const Linear& linear, int32_t copy, const PackSource& source) {
    const LinearSpec& spec = linear.spec();
    pack(context_.kernels,
         {source, linear.weight(copy), linear.format(format_), spec.outputs, spec.inner},
         context_.stream);
  }

  void bias(const PlannedTensor& tensor, const void* data) {
    const auto rows = static_cast<int32_t>(tensor.shape[0]);
    std::vector<float> values(static_cast<size_t>(rows));
    convert(data, tensor.stored->view.type, values.data(), DType::kF32, rows);
    const std::vector<int32_t> map = row_map(tensor, rows);
    float* to = tensor.linear->host_bias() + tensor.first_row;
    if (tensor.count > 0) {
      std::copy_n(&values[static_cast<size_t>(tensor.from)], tensor.count, to);
      return;
    }
    for (size_t r = 0; r < std::max(map.size(), values.size()); ++r) {
      const int32_t from = map.empty() ? static_cast<int32_t>(r) : map[r];
      if (from >= 0) to[r] = values[static_cast<size_t>(from)];
    }
  }

  WeightFormat format_;
  const LoadContext& context_;
};

}  // namespace

void fill_weights(ModelWeights& weights, const TransformerSpec& spec,
                  const std::vector<PlannedTensor>& plan, const TensorIndex& checkpoint,
                  const LoadContext& context) {
  int64_t total = 0, done = 0;
  for (const PlannedTensor& tensor : plan) total += stored_bytes(tensor);
  Filler filler(weights.format, context);
  for (const PlannedTensor& tensor : plan) {
    if (context.progress) context.progress(kStage, done, total);
    filler.fill(tensor);
    checkpoint.release(*tensor.stored);
    done += stored_bytes(tensor);
  }
  if (context.progress) context.progress(kStage, total, total);
  join_parallel_biases(weights, spec);
}

void fill_computed(ModelWeights& weights, const TransformerSpec& spec) {
  const StackSpec& stack = spec.stacks.front();
  if (stack.embedding.table != PositionTable::kSinusoidal) return;
  constexpr double kBase = 10000;
  const auto width = static_cast<size_t>(stack.width), half = width / 2;
  const size_t size = dtype_size(weights.table_type);
  // Rounded where the reference rounds: far positions multiply what the frequencies differ by.
  const double last = half > 1 ? static_cast<double>(half - 1) : 1;
  const auto step = static_cast<float>(-std::log(kBase) / last);
  std::vector<float> row(width), frequencies(half);
  auto* to = static_cast<std::byte*>(weights.positions[0].host());
  for (size_t i = 0; i < half; ++i) {
    frequencies[i] = static_cast<float>(std::exp(double{static_cast<float>(i) * step}));
  }
  for (size_t r = 0; r < static_cast<size_t>(stack.embedding.position_rows); ++r) {
    for (size_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(r) * frequencies[i];
      row[i] = std::sin(angle);
      row[half + i] = std::cos(angle);
    }
    convert(row.data(), DType::kF32, to + r * width * size, weights.table_type,
            static_cast<int64_t>(width));
  }
}

}  // namespace tensormill
