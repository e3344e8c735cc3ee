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
  TensorView view;   // contiguous, row-major, any DType the file holds
  std::string file;  // for messages
};

// Every tensor of a model folder by name, whatever files it lies in. Read-only, thread-safe.
class TensorIndex {
 public:
  virtual ~TensorIndex() = default;
  virtual const NamedTensor* find(std::string_view name) const = 0;  // null: not there
  // The tensor has been read for the last time: mapped pages that hold nothing else may leave this
  // process's memory. Reading it again is slower, not wrong.
  virtual void release(const NamedTensor& tensor) const = 0;
  virtual const std::vector<NamedTensor>& tensors() const = 0;  // in ascending order of names
};

// Opens the weights of a Hugging Face folder: model.safetensors.index.json, model.safetensors, any
// single *.safetensors, pytorch_model.bin.index.json, pytorch_model.bin, in this order. Every
// length and offset is checked. Errors: kNotFound when the folder holds none of them;
// kArtifactInvalid naming the file, the tensor and what was expected.
std::unique_ptr<TensorIndex> open_checkpoint(const std::filesystem::path& folder);

// The same for looking at names and shapes: files of safetensors may end after their header, and
// their tensors then have no data (null).
std::unique_ptr<TensorIndex> open_headers(const std::filesystem::path& folder);

}  // namespace tensormill
