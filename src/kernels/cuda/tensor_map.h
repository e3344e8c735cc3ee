#pragma once

#include <cuda.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace tensormill {

// A matrix of 2-byte values, `stride` values from row to row.
struct MappedMatrix {
  const void* data;
  DType type;  // kF16 or kBF16
  int32_t rows, columns;
  int64_t stride;
};

struct MappedBox {
  int32_t rows, columns;
};

// For copies of boxes to shared memory in the 128-byte swizzle; zeros beyond the matrix. Throws
// Error kInternal. Hopper and later.
CUtensorMap tensor_map(const MappedMatrix& matrix, const MappedBox& box);

}  // namespace tensormill
