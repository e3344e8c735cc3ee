#pragma once

#include <memory>
#include <vector>

#include "artifacts/tensor_index.h"

namespace tensormill {

// What one weight file holds, and what keeps its memory alive.
struct TensorFile {
  std::vector<NamedTensor> tensors;  // in ascending order of names, each name once
  std::vector<std::shared_ptr<const void>> owners;
};

}  // namespace tensormill
