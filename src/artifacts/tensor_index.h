#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace tensormill {

// One tensor of a checkpoint. The memory belongs to the TensorIndex (mostly mapped file pages).
struct NamedTensor {
  std::string name;
  TensorView view;   // contiguous, row-major, any DType the file holds; may be unaligned
  std::string file;  // for messages
};

// Values of a tensor, and what keeps them where they were computed.
struct TensorValues {
  TensorView view;
  std::shared_ptr<const void> owner;
};

// Every tensor of a model folder by name, whatever files it lies in. Read-only, thread-safe.
class TensorIndex {
 public:
  virtual ~TensorIndex() = default;
  virtual const NamedTensor* find(std::string_view name) const = 0;  // null: not there
  // `count` of its rows (of the first dimension), from `first` on. Float values may be of another
  // float type than the tensor's own, where they were computed or come from another file. Not for
  // tensors without data (see open_headers).
  virtual TensorValues read(const NamedTensor& tensor, int64_t first, int64_t count) const = 0;
  TensorValues read(const NamedTensor& tensor) const {
    return read(tensor, 0, tensor.view.shape.empty() ? 1 : tensor.view.shape[0]);
  }
  // The tensor has been read for the last time: mapped pages that hold nothing else may leave this
  // process's memory. Reading it again is slower, not wrong.
  virtual void release(const NamedTensor& tensor) const = 0;
  virtual const std::vector<NamedTensor>& tensors() const = 0;  // in ascending order of names
};

// These rows of a tensor in memory.
TensorView rows_of(const TensorView& view, int64_t first, int64_t count);

// Opens the weights of a Hugging Face folder that choose_weight_files() finds. Every length and
// offset is checked. Errors: those of choose_weight_files(); kArtifactInvalid naming the file, the
// tensor and what was expected.
std::unique_ptr<TensorIndex> open_checkpoint(const std::filesystem::path& folder,
                                             const std::string& variant = "");

// The same for looking at names and shapes: files of safetensors may end after their header, and
// their tensors then have no data (null).
std::unique_ptr<TensorIndex> open_headers(const std::filesystem::path& folder,
                                          const std::string& variant = "");

}  // namespace tensormill
