#include "models/loader.h"

#include <algorithm>
#include <cstring>

#include "ops/pack.h"
#include "tensor/convert.h"

namespace tensormill {
namespace {

constexpr const char* kStage = "loading weights";

int64_t stored_bytes(const PlannedTensor& tensor) {
  return tensor.stored->view.elements() *
         static_cast<int64_t>(dtype_size(tensor.stored->view.type));
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
        return convert(data, tensor.stored->view.type, tensor.buffer->data(), DType::kF32,
                       tensor.stored->view.elements());
      case PlannedTensor::Target::kTable:
        return convert(data, tensor.stored->view.type, tensor.buffer->data(), plain_type(format_),
                       tensor.stored->view.elements());
    }
  }

 private:
  void weight(const PlannedTensor& tensor, const void* data) {
    const LinearSpec& spec = tensor.linear->spec();
    const auto rows = static_cast<int32_t>(tensor.shape[tensor.transposed ? 1 : 0]);
    const std::vector<int32_t> map = row_map(tensor, rows);
    PackArgs args{};
    args.source = {data,
                   tensor.stored->view.type,
                   tensor.transposed,
                   rows,
                   spec.inner,
                   map.empty() ? nullptr : map.data(),
                   tensor.first_row,
                   map.empty() ? rows : static_cast<int32_t>(map.size())};
    args.packed = tensor.linear->weight();
    args.format = format_;
    args.outputs = spec.outputs;
    args.inner = spec.inner;
    pack(context_.kernels, args, context_.stream);
  }

  void bias(const PlannedTensor& tensor, const void* data) {
    const auto rows = static_cast<int32_t>(tensor.shape[0]);
    std::vector<float> values(static_cast<size_t>(rows));
    convert(data, tensor.stored->view.type, values.data(), DType::kF32, rows);
    const std::vector<int32_t> map = row_map(tensor, rows);
    float* to = tensor.linear->bias() + tensor.first_row;
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

}  // namespace tensormill
