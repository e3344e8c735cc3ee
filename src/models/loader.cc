#include "models/loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "artifacts/float_types.h"
#include "kernels/cpu_stream.h"
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

constexpr size_t kSome = size_t{16} << 20;  // values that are read at a time, or a few rows more

// At an address that the type allows, of a type that kernels read.
bool is_usable(const TensorView& view) {
  return view.type != DType::kF64 &&
         reinterpret_cast<uintptr_t>(view.data) % dtype_size(view.type) == 0;
}

// Values as the kernels take them: at an address that their type allows, f64 as f32.
TensorView usable(const TensorView& view, Buffer& copy) {
  if (is_usable(view)) return view;
  const size_t size = dtype_size(view.type);
  const auto values = static_cast<size_t>(view.elements());
  if (view.type == DType::kF64) {
    copy = Buffer(values * sizeof(float), "a tensor of f64");
    widen(view.data, view.type, values, copy.as<float>());
    return {copy.data(), DType::kF32, view.shape};
  }
  copy = Buffer(values * size, "an unaligned tensor");
  std::memcpy(copy.data(), view.data, values * size);
  return {copy.data(), view.type, view.shape};
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
  Filler(WeightFormat format, const TensorIndex& checkpoint, const LoadContext& context)
      : format_(format), checkpoint_(checkpoint), context_(context) {}

  void fill(const PlannedTensor& tensor) {
    const int64_t rows = tensor.stored->view.shape.empty() ? 1 : tensor.shape[0];
    const int64_t at_once = in_parts(tensor) && !lies_ready(tensor) ? part_rows(tensor) : rows;
    for (int64_t first = 0; first < rows; first += at_once) {
      const int64_t count = std::min(at_once, rows - first);
      const TensorValues values = checkpoint_.read(*tensor.stored, first, count);
      Buffer copy;
      fill_rows(tensor, usable(values.view, copy), first);
    }
  }

 private:
  // Where each row goes by itself, what is computed or converted need not be there all at once.
  static bool in_parts(const PlannedTensor& tensor) {
    if (tensor.target == PlannedTensor::Target::kTable) return tensor.row_width == 0;
    return tensor.target == PlannedTensor::Target::kWeight && !tensor.transposed &&
           tensor.count == 0 && tensor.halves == Halves::kNone && tensor.map == nullptr &&
           tensor.step == 1;
  }

  // Packed from where it lies: in parts it would be spread over the threads otherwise than by those
  // that read it, whose memory on machines of several nodes should be their own.
  bool lies_ready(const PlannedTensor& tensor) const {
    if (tensor.target != PlannedTensor::Target::kWeight || tensor.unit_rows) return false;
    const TensorValues first = checkpoint_.read(*tensor.stored, 0, 1);
    return first.owner == nullptr && is_usable(first.view);
  }

  // Whole panels, so that none is written twice.
  static int64_t part_rows(const PlannedTensor& tensor) {
    const auto width = static_cast<size_t>(std::max<int64_t>(1, tensor.shape.back()));
    const size_t panels = std::max<size_t>(1, kSome / width / kPanel);
    return static_cast<int64_t>(panels) * kPanel;
  }

  void fill_rows(const PlannedTensor& tensor, const TensorView& from, int64_t first) {
    switch (tensor.target) {
      case PlannedTensor::Target::kWeight:
        return weight(tensor, from, static_cast<int32_t>(first));
      case PlannedTensor::Target::kBias:
        return bias(tensor, from);
      case PlannedTensor::Target::kNorm:
        return norm(tensor, from);
      case PlannedTensor::Target::kTable:
        return table(tensor, from, first);
    }
  }

  void table(const PlannedTensor& tensor, const TensorView& from, int64_t first) const {
    const DType to_type = plain_type(format_);
    const int64_t width = tensor.shape.back();
    if (tensor.row_width == 0) {
      const auto skipped = static_cast<size_t>(first * width) * dtype_size(to_type);
      return whole_rows(from, tensor.buffer->as<std::byte>() + skipped);
    }
    auto* to = static_cast<std::byte*>(tensor.buffer->host());
    const auto* data = static_cast<const std::byte*>(from.data);
    to += static_cast<size_t>(tensor.first_column) * dtype_size(to_type);
    for (int64_t row = 0; row * width < from.elements(); ++row) {
      convert(data + static_cast<size_t>(row * width) * dtype_size(from.type), from.type,
              to + static_cast<size_t>(row * tensor.row_width) * dtype_size(to_type), to_type,
              width);
    }
  }

  // Without a mirror on the host.
  void whole_rows(const TensorView& from, std::byte* to) const {
    const DType to_type = plain_type(format_);
    const auto values = static_cast<size_t>(from.elements());
    if (context_.device.on_host()) return convert_on_team(from, to, to_type);
    if (from.type == to_type) {
      return context_.device.upload(to, from.data, values * dtype_size(from.type));
    }
    std::vector<std::byte> some(values * dtype_size(to_type));
    convert(from.data, from.type, some.data(), to_type, from.elements());
    context_.device.upload(to, some.data(), some.size());
  }

  // A vocabulary's rows are many: touching their memory alone takes a thread as long as packing a
  // layer takes the team.
  void convert_on_team(const TensorView& from, std::byte* to, DType to_type) const {
    constexpr int64_t kGrain = 1 << 18;
    const auto* data = static_cast<const std::byte*>(from.data);
    const auto part = [&](int64_t begin, int64_t end) {
      convert(data + static_cast<size_t>(begin) * dtype_size(from.type), from.type,
              to + static_cast<size_t>(begin) * dtype_size(to_type), to_type, end - begin);
    };
    ThreadTeam* const team = team_of(context_.stream);
    if (team == nullptr) return part(0, from.elements());
    team->parallel(from.elements(), kGrain, [&](int64_t begin, int64_t end) { part(begin, end); });
  }

  static void norm(const PlannedTensor& tensor, const TensorView& from) {
    float* to = static_cast<float*>(tensor.buffer->host()) + tensor.first_row;
    const int64_t count = from.elements();
    convert(from.data, from.type, to, DType::kF32, count);
    for (int64_t i = 0; i < count; ++i) to[i] += tensor.plus;
  }

  // `from` are all rows, or those from `first` on where they come in parts.
  void weight(const PlannedTensor& tensor, const TensorView& from, int32_t first) {
    const LinearSpec& spec = tensor.linear->spec();
    const void* data = from.data;
    auto rows = static_cast<int32_t>(from.shape[tensor.transposed && tensor.count == 0 ? 1 : 0]);
    if (tensor.count > 0) {
      const int64_t bytes =
          tensor.from * tensor.shape[1] * static_cast<int64_t>(dtype_size(from.type));
      data = static_cast<const std::byte*>(data) + bytes;
      rows = tensor.transposed ? static_cast<int32_t>(tensor.shape[1]) : tensor.count;
    }
    const int32_t first_row = tensor.first_row + first;
    if (tensor.unit_rows) return unit_rows(tensor, from, first_row);
    const std::vector<int32_t> map = row_map(tensor, rows);
    pack_rows(
        *tensor.linear, tensor.copy,
        {data, from.type, tensor.transposed, rows, spec.inner, map.empty() ? nullptr : map.data(),
         first_row, map.empty() ? rows : static_cast<int32_t>(map.size())});
  }

  // Some panels at a time: a vocabulary's rows in float32 would be large.
  void unit_rows(const PlannedTensor& tensor, const TensorView& from, int32_t first_row) {
    constexpr int32_t kRows = 16 * kPanel;
    constexpr double kLeast = 1e-12;  // the reference's, for rows of zeros
    const LinearSpec& spec = tensor.linear->spec();
    const auto rows = static_cast<int32_t>(from.shape[0]);
    const auto inner = static_cast<size_t>(spec.inner);
    std::vector<float> some(kRows * inner);
    for (int32_t first = 0; first < rows; first += kRows) {
      const int32_t count = std::min(kRows, rows - first);
      const size_t at = static_cast<size_t>(first) * inner * dtype_size(from.type);
      convert(static_cast<const std::byte*>(from.data) + at, from.type, some.data(), DType::kF32,
              int64_t{count} * spec.inner);
      for (size_t r = 0; r < static_cast<size_t>(count); ++r) {
        float* row = &some[r * inner];
        const double square = std::inner_product(row, row + inner, row, 0.0);
        const auto length = static_cast<float>(std::max(std::sqrt(square), kLeast));
        for (size_t i = 0; i < inner; ++i) row[i] /= length;
      }
      pack_rows(
          *tensor.linear, 0,
          {some.data(), DType::kF32, false, count, spec.inner, nullptr, first_row + first, count});
    }
  }

  void pack_rows(const Linear& linear, int32_t copy, const PackSource& source) {
    const LinearSpec& spec = linear.spec();
    pack(context_.kernels,
         {source, linear.weight(copy), linear.format(format_), spec.outputs, spec.inner},
         context_.stream);
  }

  void bias(const PlannedTensor& tensor, const TensorView& from) {
    const auto rows = static_cast<int32_t>(tensor.shape[0]);
    std::vector<float> values(static_cast<size_t>(rows));
    convert(from.data, from.type, values.data(), DType::kF32, rows);
    const std::vector<int32_t> map = row_map(tensor, rows);
    float* to = tensor.linear->host_bias() + tensor.first_row;
    if (tensor.count > 0) {
      std::copy_n(&values[static_cast<size_t>(tensor.from)], tensor.count, to);
      return;
    }
    for (size_t r = 0; r < std::max(map.size(), values.size()); ++r) {
      const int32_t source = map.empty() ? static_cast<int32_t>(r) : map[r];
      if (source >= 0) to[r] = values[static_cast<size_t>(source)];
    }
  }

  WeightFormat format_;
  const TensorIndex& checkpoint_;
  const LoadContext& context_;
};

}  // namespace

void fill_weights(ModelWeights& weights, const TransformerSpec& spec,
                  const std::vector<PlannedTensor>& plan, const TensorIndex& checkpoint,
                  const LoadContext& context) {
  int64_t total = 0, done = 0;
  for (const PlannedTensor& tensor : plan) total += stored_bytes(tensor);
  Filler filler(weights.format, checkpoint, context);
  for (size_t i = 0; i < plan.size(); ++i) {
    const PlannedTensor& tensor = plan[i];
    context.progress(kStage, done, total);
    filler.fill(tensor);
    const bool again = i + 1 < plan.size() && plan[i + 1].stored == tensor.stored;
    if (!again) checkpoint.release(*tensor.stored);
    done += stored_bytes(tensor);
  }
  context.progress(kStage, total, total);
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
