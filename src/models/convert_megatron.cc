#include "models/convert_megatron.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;  // values

struct Source {
  size_t part;
  int64_t row;
};

// Row numbers of query, key and value. They leave in the order [3, heads, head size]; each rank has
// its own heads, and their order within it depends on the checkpoint's version.
class QkvRows {
 public:
  QkvRows(const MegatronPlan& plan, size_t ranks)
      : version_(plan.checkpoint->version),
        heads_(plan.sizes.heads / static_cast<int64_t>(ranks)),
        dim_(plan.sizes.width / plan.sizes.heads),
        width_(plan.sizes.width) {
    if (plan.sizes.heads % static_cast<int64_t>(ranks) != 0) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: {} heads don't divide by {} tensor ranks",
                  plan.checkpoint->origin, plan.sizes.heads, ranks);
    }
  }

  Source operator()(int64_t row) const {
    const int64_t kind = row / width_, head = row % width_ / dim_, i = row % dim_;
    const int64_t local = head % heads_;
    const auto part = static_cast<size_t>(head / heads_);
    if (version_ == 0) return {part, (kind * heads_ + local) * dim_ + i};
    if (version_ == 1) return {part, (local * dim_ + i) * 3 + kind};
    return {part, (local * 3 + kind) * dim_ + i};
  }

 private:
  double version_;
  int64_t heads_, dim_, width_;
};

// Writes one tensor. `T` is an integer of the elements' size: values are moved, never computed
// with.
template <class T>
class TensorWriter {
 public:
  TensorWriter(const MegatronPlan& plan, const MegatronTensor& tensor, DType type,
               SafetensorsWriter& writer)
      : tensor_(tensor),
        stored_(tensor.parts[0].tensor->view.type),
        type_(type),
        writer_(writer),
        part_rows_(tensor.parts[0].tensor->view.shape[0]),
        part_columns_(tensor.columns / (tensor.split == MegatronSplit::kColumns ? parts() : 1)),
        rows_(tensor.row_size == MegatronSize::kVocabulary ? plan.sizes.vocabulary : tensor.rows) {
    if (tensor.split == MegatronSplit::kQueryKeyValue) qkv_.emplace(plan, tensor.parts.size());
  }

  void run() {
    if (tensor_.transposed) {
      write_transposed();
    } else {
      write_rows();
    }
    for (const MegatronTensor::Part& part : tensor_.parts) part.index->release(*part.tensor);
  }

 private:
  int64_t parts() const { return static_cast<int64_t>(tensor_.parts.size()); }

  Source source(int64_t row) const {
    if (qkv_) return (*qkv_)(row);
    if (tensor_.split != MegatronSplit::kRows) return {0, row};
    return {static_cast<size_t>(row / part_rows_), row % part_rows_};
  }

  // Columns [begin, end) of a row of the whole tensor.
  void read(int64_t row, int64_t begin, int64_t end, T* out) const {
    Source place = source(row);
    while (begin < end) {
      int64_t column = begin, stop = end;
      if (tensor_.split == MegatronSplit::kColumns) {
        place.part = static_cast<size_t>(begin / part_columns_);
        column = begin % part_columns_;
        stop = std::min(end, begin - column + part_columns_);
      }
      const auto* data = static_cast<const std::byte*>(tensor_.parts[place.part].tensor->view.data);
      const auto offset = static_cast<size_t>(place.row * part_columns_ + column);
      const auto count = static_cast<size_t>(stop - begin);
      std::memcpy(out, data + offset * sizeof(T), count * sizeof(T));
      out += count;
      begin = stop;
    }
  }

  void emit(const T* values, int64_t values_count) {
    const auto count = static_cast<size_t>(values_count);
    if (type_ == stored_) return writer_.write(values, count * sizeof(T));
    wide_.resize(count);
    widen(values, stored_, count, wide_.data());
    bytes_.clear();
    narrow(wide_.data(), count, type_, tensor_.name, bytes_);
    writer_.write(bytes_.data(), bytes_.size());
  }

  void write_rows() {
    const int64_t columns = tensor_.columns, batch = std::max<int64_t>(1, kChunk / columns);
    std::vector<T> values(static_cast<size_t>(std::min(batch, rows_) * columns));
    for (int64_t row = 0; row < rows_; row += batch) {
      const int64_t count = std::min(batch, rows_ - row);
      for (int64_t i = 0; i < count; ++i) {
        read(row + i, 0, columns, values.data() + i * columns);
      }
      emit(values.data(), count * columns);
    }
  }

  void write_transposed() {
    const int64_t columns = tensor_.columns,
                  piece = std::clamp(kChunk / rows_, int64_t{1}, columns);
    std::vector<T> line(static_cast<size_t>(piece)), values(static_cast<size_t>(piece * rows_));
    for (int64_t begin = 0; begin < columns; begin += piece) {
      const int64_t count = std::min(piece, columns - begin);
      for (int64_t row = 0; row < rows_; ++row) {
        read(row, begin, begin + count, line.data());
        for (int64_t i = 0; i < count; ++i) {
          values[static_cast<size_t>(i * rows_ + row)] = line[static_cast<size_t>(i)];
        }
      }
      emit(values.data(), count * rows_);
    }
  }

  const MegatronTensor& tensor_;
  DType stored_, type_;
  SafetensorsWriter& writer_;
  int64_t part_rows_, part_columns_, rows_;  // the vocabulary's padding is left out
  std::optional<QkvRows> qkv_;
  std::vector<float> wide_;
  std::vector<std::byte> bytes_;
};

std::vector<int64_t> shape_of(const MegatronPlan& plan, const MegatronTensor& tensor) {
  const bool vocabulary = tensor.row_size == MegatronSize::kVocabulary;
  std::vector<int64_t> shape = {vocabulary ? plan.sizes.vocabulary : tensor.rows};
  if (tensor.column_size != MegatronSize::kNone) shape.push_back(tensor.columns);
  if (tensor.transposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

}  // namespace

void write_megatron(const MegatronPlan& plan, std::optional<DType> type,
                    const std::filesystem::path& file, const Progress& progress) {
  std::vector<SafetensorsWriter::Entry> entries;
  std::map<std::string_view, const MegatronTensor*> by_name;
  uint64_t total = 0, done = 0;
  for (const MegatronTensor& tensor : plan.tensors) {
    const DType stored = tensor.parts[0].tensor->view.type;
    entries.push_back({tensor.name, type.value_or(stored), shape_of(plan, tensor)});
    by_name[tensor.name] = &tensor;
    total += entries.back().bytes();
  }
  SafetensorsWriter writer(file, std::move(entries));
  for (const SafetensorsWriter::Entry& entry : writer.entries()) {
    const MegatronTensor& tensor = *by_name.at(entry.name);
    switch (dtype_size(tensor.parts[0].tensor->view.type)) {
      case 2:
        TensorWriter<uint16_t>(plan, tensor, entry.type, writer).run();
        break;
      case 4:
        TensorWriter<uint32_t>(plan, tensor, entry.type, writer).run();
        break;
      default:
        TensorWriter<uint64_t>(plan, tensor, entry.type, writer).run();
    }
    progress(done += entry.bytes(), total);
  }
  writer.finish();
}

}  // namespace tensormill
