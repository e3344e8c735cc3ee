#pragma once

#include <memory>
#include <vector>

#include "artifacts/tensor_index.h"
#include "base/mmap.h"

namespace tensormill {

// What one weight file holds, and what keeps its memory alive.
struct TensorFile {
  std::vector<NamedTensor> tensors;  // in ascending order of names, each name once
  std::vector<std::shared_ptr<const void>> owners;
  std::vector<std::shared_ptr<const MappedFile>> mapped;  // and the files
};

std::unique_ptr<TensorIndex> make_tensor_index(TensorFile file);

}  // namespace tensormill
