#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "models/spec.h"
#include "tensor/tensor.h"

namespace tensormill {

struct WorkspaceSizes {
  StepLimits limits;
  int32_t width = 0, streams = 1, head_width = 0, vocabulary = 0;
  bool projects = false;                                // tokens' rows and what the head reads
  int32_t qkv = 0, queries = 0, attended = 0, mlp = 0;  // the widest of all layers
  // The most of all layers with a latent: its width, and each head's part before and after.
  int32_t latent = 0, query_short = 0, plain = 0, expanded = 0;
  // The most of all layers: experts, those of a row, and their inner values.
  int32_t experts = 0, active = 0, expert_inner = 0;
  std::vector<int32_t> ropes;    // cosines and sines of a row, of each rope
  size_t attention_scratch = 0;  // bytes
  ActivationTypes types{};       // of the inputs of products, and of queries
  bool int8 = false;             // products read quantized rows
  int32_t expert_groups = 0;     // of a row's inner values, quantized

  // Of what attention and MLPs leave for their last product.
  DType inner_type() const { return int8 ? DType::kF32 : types.input; }
};

WorkspaceSizes workspace_sizes(const TransformerSpec& spec, WeightFormat format,
                               const KernelTable& kernels, const StepLimits& limits,
                               Quantization quantize = Quantization::kNone);

// Bytes of a Workspace of these sizes.
size_t workspace_bytes(const WorkspaceSizes& sizes);

// Activations of one step, all in one piece of memory, sized once for StepLimits.
class Workspace {
 public:
  explicit Workspace(const WorkspaceSizes& sizes, Device& device = host_device());

  const StepLimits& limits() const { return limits_; }

  // Where everything lies.
  struct Arrays {
    float* residual = nullptr;        // [streams, rows, width]
    float* joined = nullptr;          // [rows, streams * width], of two streams
    int32_t* joined_rows = nullptr;   // [rows * streams]: the row of `residual` at each place
    int32_t* joined_count = nullptr;  // how many of those
    int32_t* axial = nullptr;         // [2, rows]: rows of axial positions
    void* normed = nullptr;           // [rows, width or head_width], input type
    float* qkv = nullptr;             // [rows, qkv]
    void* queries = nullptr;          // [rows, queries], query type
    void* attended = nullptr;         // [rows, attended], input type or what int8 is made of: f32
    void* mlp = nullptr;              // [rows, mlp], the same
    float* partial[2] = {};           // [rows, width]
    float* embedded = nullptr;        // [rows, head_width], where tokens' rows are projected
    float* hidden = nullptr;          // [rows, head_width], where it is wanted
    void* logit_normed = nullptr;     // [logit_rows, streams * width], input type
    void* logit_hidden = nullptr;     // [logit_rows, head_width], input type: where it is projected
    float* logits = nullptr;          // [logit_rows, vocabulary]
    std::vector<float*> cos_sin;      // each [rows, dim]
    void* attention_scratch = nullptr;
    float* latent = nullptr;       // [rows, latent]
    float* query_short = nullptr;  // [rows, query_short]
    void* query_normed = nullptr;  // the same, input type
    void* plain = nullptr;         // [rows, plain], input type
    void* expanded = nullptr;      // [rows, expanded], input type
    float* router = nullptr;       // [rows, experts]
    Routes routes{};
    void* taken = nullptr;          // [rows * active, width], input type
    void* expert_inner = nullptr;   // [rows, expert_inner], as mlp
    float* expert_value = nullptr;  // [rows * active, width]
    // Quantized rows, null where products read none: normed, attended or mlp, what the head reads,
    // and those of experts.
    Int8Group *normed_q = nullptr, *inner_q = nullptr, *logit_q = nullptr;
    Int8Group *taken_q = nullptr, *expert_inner_q = nullptr;
  };
  const Arrays& arrays() const { return arrays_; }

 private:
  StepLimits limits_;
  Buffer memory_;
  Arrays arrays_;
};

}  // namespace tensormill
