#pragma once

#include <cublasLt.h>

#include <vector>

#include "kernels/cuda/library_products.h"

namespace tensormill {

constexpr DType library_type(WeightFormat format) {
  if (format == WeightFormat::kF32) return DType::kF32;
  return format == WeightFormat::kF16 ? DType::kF16 : DType::kBF16;
}

// Greatest power of two up to 16 that divides the address and, in bytes, stride and step.
int64_t library_alignment(const void* pointer, int64_t stride, int64_t step, DType type);

// cuBLASLt's descriptors of one product, for any operands of its shape. cuBLASLt thinks in columns:
// to it the output is [outputs, rows], the weight transposed.
class LibraryCall {
 public:
  LibraryCall(const LibraryProduct& product, void* scratch, size_t bytes);
  // Another product in the scratch of this one.
  LibraryCall(const LibraryProduct& product, const LibraryCall& like)
      : LibraryCall(product, like.scratch_, like.bytes_) {}
  ~LibraryCall();
  LibraryCall(const LibraryCall&) = delete;
  LibraryCall& operator=(const LibraryCall&) = delete;

  // From now on the operands of `product`, which differs in nothing else.
  void take_operands(const LibraryProduct& product);
  // Best first, at most `most`.
  std::vector<cublasLtMatmulAlgo_t> candidates(int most, const CudaContext& context) const;
  bool allows(const cublasLtMatmulAlgo_t& algorithm, const CudaContext& context) const;
  bool run(const cublasLtMatmulAlgo_t& algorithm, const CudaContext& context) const;
  const LibraryProduct& product() const { return product_; }
  // Whether running it twice is the same as once.
  bool repeatable() const { return product_.addend != product_.out; }

 private:
  LibraryProduct product_;
  void* scratch_;
  size_t bytes_;
  cublasLtMatmulDesc_t product_desc_ = nullptr;
  cublasLtMatrixLayout_t weight_ = nullptr, in_ = nullptr, addend_ = nullptr, out_ = nullptr;
};

}  // namespace tensormill
