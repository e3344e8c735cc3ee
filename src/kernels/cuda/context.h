#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace tensormill {

class LibraryProducts;  // library_products.h: chosen algorithms by shape
class StagingRing;      // staging.h: memory that weights travel through

// What a Stream points to on CUDA. One thread enqueues; everything runs in order.
struct CudaContext {
  int device = 0;
  int multiprocessors = 0, major = 0;
  size_t max_shared = 0;  // bytes of shared memory that a block may ask for
  cudaStream_t stream = nullptr;
  bool dependent_launch = false;  // programmatic dependent launch: see launch.cuh
  cublasLtHandle_t library = nullptr;
  void* workspace = nullptr;  // scratch of one launch, free for the next
  size_t workspace_bytes = 0;
  // Zeros between launches: semaphores of one launch, which leaves them zero.
  int32_t* counters = nullptr;
  int32_t counter_count = 0;
  LibraryProducts* products = nullptr;
  StagingRing* staging = nullptr;  // only needed while weights are packed
};

inline CudaContext& cuda_context(Stream stream) {
  return *reinterpret_cast<CudaContext*>(stream);
}

// Throws Error kInternal with the expression's name and what CUDA says of the status.
void check_cuda(cudaError_t status, const char* what);
void check_cublas(cublasStatus_t status, const char* what);

}  // namespace tensormill
