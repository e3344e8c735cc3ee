#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "models/spec.h"
#include "tensor/tensor.h"

namespace tensormill {

// Activations of one step, all in one piece of memory, sized once for StepLimits.
class Workspace {
 public:
  struct Sizes {
    StepLimits limits;
    int32_t width = 0, vocabulary = 0;
    int32_t qkv = 0, queries = 0, mlp = 0;  // the widest of all layers
    std::vector<int32_t> ropes;             // dimensions of each rope
    size_t attention_scratch = 0;           // bytes
    DType input = DType::kF32;              // type of the inputs of products
  };
  explicit Workspace(const Sizes& sizes);

  const StepLimits& limits() const { return limits_; }
  size_t bytes() const { return memory_.size(); }

  float* residual = nullptr;        // [rows, width]
  void* normed = nullptr;           // [rows, width], input type
  float* qkv = nullptr;             // [rows, qkv]
  float* queries = nullptr;         // [rows, queries]
  void* attended = nullptr;         // [rows, queries], input type
  void* mlp = nullptr;              // [rows, mlp], input type
  float* partial[2] = {};           // [rows, width]
  float* hidden = nullptr;          // [rows, width]
  float* logit_residual = nullptr;  // [logit_rows, width]
  void* logit_normed = nullptr;     // [logit_rows, width], input type
  float* logits = nullptr;          // [logit_rows, vocabulary]
  std::vector<float*> cos_sin;      // each [rows, dim]
  void* attention_scratch = nullptr;

 private:
  StepLimits limits_;
  Buffer memory_;
};

}  // namespace tensormill
