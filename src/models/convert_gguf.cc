#include "models/convert_gguf.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "models/gguf_family.h"

namespace tensormill {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;  // values
constexpr int64_t kColumns = 256;             // of a transposed tensor at a time; whole blocks

struct Job {
  const GgufTensor* tensor;
  GgufSource source;
  std::string gguf_name;
};

// A matrix of the file, rows of whole blocks; a vector is one column when its rows are reordered.
struct Matrix {
  int64_t rows, columns;

  explicit Matrix(const Job& job) {
    const std::vector<int64_t>& shape = job.tensor->shape;
    columns = shape.empty() || (shape.size() == 1 && job.source.row) ? 1 : shape.back();
    rows = job.tensor->elements() / columns;
  }
};

class TensorWriter {
 public:
  TensorWriter(const Job& job, const std::string& origin, DType type, SafetensorsWriter& writer)
      : job_(job), origin_(origin), type_(type), writer_(writer), matrix_(job) {
    if (matrix_.columns % job.tensor->type->elements != 0) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": {} can't be reordered by rows",
                  origin, job.gguf_name, job.tensor->type->name);
    }
  }

  void run() {
    if (job_.source.transposed) {
      write_transposed();
    } else {
      write_rows();
    }
  }

 private:
  // Values [begin, end) of a row, at block borders.
  void read(int64_t row, int64_t begin, int64_t end, float* out) const {
    const GgufType& type = *job_.tensor->type;
    const int64_t first = (row * matrix_.columns + begin) / type.elements;
    const int64_t last = (row * matrix_.columns + end) / type.elements;
    const auto* data = reinterpret_cast<const uint8_t*>(job_.tensor->data.data());
    for (int64_t block = first; block < last; ++block, out += type.elements) {
      type.dequantize(data + block * type.bytes, out);
    }
  }

  int64_t source_row(int64_t row) const {
    const int64_t source = job_.source.row ? job_.source.row(row) : row;
    if (source < 0 || source >= matrix_.rows) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: tensor \"{}\": {} rows contradict the file's numbers of heads", origin_,
                  job_.gguf_name, matrix_.rows);
    }
    return source;
  }

  void emit(const float* values, int64_t count) {
    bytes_.clear();
    narrow(values, static_cast<size_t>(count), type_, job_.source.name, bytes_);
    writer_.write(bytes_.data(), bytes_.size());
  }

  void write_rows() {
    const int64_t piece = std::min(matrix_.columns, kChunk);
    const int64_t batch = std::max<int64_t>(1, kChunk / piece);
    std::vector<float> values(static_cast<size_t>(piece * batch));
    int64_t filled = 0;
    for (int64_t row = 0; row < matrix_.rows; ++row) {
      const int64_t source = source_row(row);
      for (int64_t begin = 0; begin < matrix_.columns; begin += piece) {
        const int64_t end = std::min(begin + piece, matrix_.columns);
        if (filled + end - begin > piece * batch) {
          emit(values.data(), filled);
          filled = 0;
        }
        read(source, begin, end, values.data() + filled);
        filled += end - begin;
      }
    }
    emit(values.data(), filled);
  }

  void write_transposed() {
    const int64_t rows = matrix_.rows;
    std::vector<float> line(kColumns), values(static_cast<size_t>(kColumns * rows));
    for (int64_t begin = 0; begin < matrix_.columns; begin += kColumns) {
      const int64_t end = std::min(begin + kColumns, matrix_.columns);
      for (int64_t row = 0; row < rows; ++row) {
        read(source_row(row), begin, end, line.data());
        for (int64_t i = 0; i < end - begin; ++i) {
          values[static_cast<size_t>(i * rows + row)] = line[static_cast<size_t>(i)];
        }
      }
      emit(values.data(), (end - begin) * rows);
    }
  }

  const Job& job_;
  const std::string& origin_;
  DType type_;
  SafetensorsWriter& writer_;
  Matrix matrix_;
  std::vector<std::byte> bytes_;
};

std::map<std::string, Job> plan(const GgufFile& file) {
  const GgufFamily& family = find_gguf_family(file);
  std::map<std::string, Job> jobs;
  for (const auto& [name, tensor] : file.tensors()) {
    GgufSource source = family.source(file, name);
    if (source.skipped) continue;
    if (source.name.empty()) {
      throw_error(ErrorKind::kUnsupported,
                  "{}: tensor \"{}\" is not one that the architecture \"{}\" is known to have",
                  file.origin(), name, family.architecture);
    }
    if (source.transposed && tensor.shape.size() != 2) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": expected a matrix",
                  file.origin(), name);
    }
    const std::string target = source.name;
    jobs.emplace(target, Job{&tensor, std::move(source), name});
  }
  return jobs;
}

}  // namespace

DType gguf_target_type(const GgufFile& file, std::optional<DType> asked) {
  if (asked) return *asked;
  std::map<std::string_view, int64_t> values;
  for (const auto& [name, tensor] : file.tensors()) {
    if (tensor.type->quantized) return DType::kBF16;
    values[tensor.type->name] += tensor.elements();
  }
  const auto most =
      std::max_element(values.begin(), values.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == values.end() || most->first == "F32") return DType::kF32;
  return most->first == "F16" ? DType::kF16 : DType::kBF16;
}

void write_gguf_weights(const GgufFile& file, DType type, const std::filesystem::path& out,
                        const Progress& progress) {
  if (file.size("split.count", 0, 65535, 1) > 1) {
    throw_error(ErrorKind::kUnsupported,
                "{}: one of several parts of a model; expected a single file: merge them first",
                file.origin());
  }
  const std::map<std::string, Job> jobs = plan(file);
  std::vector<SafetensorsWriter::Entry> entries;
  uint64_t total = 0, done = 0;
  for (const auto& [name, job] : jobs) {
    std::vector<int64_t> shape = job.tensor->shape;
    if (job.source.transposed) std::reverse(shape.begin(), shape.end());
    entries.push_back({name, type, std::move(shape)});
    total += entries.back().bytes();
  }
  SafetensorsWriter writer(out, std::move(entries));
  for (const SafetensorsWriter::Entry& entry : writer.entries()) {
    TensorWriter(jobs.at(entry.name), file.origin(), type, writer).run();
    progress(done += entry.bytes(), total);
  }
  writer.finish();
}

}  // namespace tensormill
