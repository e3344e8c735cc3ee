#pragma once

#include <cublasLt.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>

#include "kernels/cuda/context.h"

namespace tensormill {

// One product for cuBLASLt: out = act(alpha * in W^T + addend + bias).
struct LibraryProduct {
  WeightFormat format;  // of the weight and of `in`
  int32_t outputs, inner, rows;
  const void* weight;  // [outputs, packed_row(inner)]
  const void* in;      // [rows, in_stride]
  void* out;           // [rows, out_stride] of out_type: f32, or the weight's type
  DType out_type;
  int64_t in_stride, out_stride;
  const float* addend;  // [rows, outputs] or null; for f32 out
  const float* bias;    // [outputs] or null; for f32 out
  Activation act;       // kNone, kRelu, kGeluTanh
  float alpha;
  // Weights one after another; input and output of each are so many elements on.
  int32_t copies;
  int64_t in_step, out_step;
};

class LibraryCall;

// cuBLASLt's products, and which of its algorithms each shape takes. Choices that were timed are
// kept in a file of the user's cache folder, one for each GPU type and library version.
class LibraryProducts {
 public:
  // `gpu`: its name, as CUDA says it.
  explicit LibraryProducts(std::string_view gpu);
  ~LibraryProducts();

  // Enqueues the product; cuBLASLt may use `bytes` of scratch. False: it has no algorithm for it.
  bool multiply(const LibraryProduct& product, void* scratch, size_t bytes,
                const CudaContext& context);

  // While set, a shape's first product outside of a capture times the candidates and takes the
  // best; otherwise it takes the library's own first guess.
  void set_measuring(bool on);
  // Writes what was measured. Failing to is no error.
  void save();

 private:
  using Key = std::array<int64_t, 12>;
  struct Choice {
    cublasLtMatmulAlgo_t algorithm;
    bool measured;
  };

  // All that descriptors and the algorithm depend on: a key with the exact number of rows, strides,
  // steps and scratch.
  using Shape = std::array<int64_t, 19>;
  // What a product needs no more than its operands for.
  struct Plan {
    std::unique_ptr<LibraryCall> call;
    cublasLtMatmulAlgo_t algorithm;
  };

  static Key key_of(const LibraryProduct& product);
  bool make_plan(const Key& key, const CudaContext& context, Plan& plan);
  bool choose(const LibraryCall& call, const Key& key, const CudaContext& context);
  void load(std::map<Key, Choice>& choices) const;

  std::filesystem::path file_;  // empty: no cache folder
  std::map<Key, Choice> choices_;
  std::map<Shape, Plan> plans_;
  bool measuring_ = false, changed_ = false;
};

}  // namespace tensormill
