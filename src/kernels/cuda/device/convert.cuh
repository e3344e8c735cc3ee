#pragma once

// Values between the types of activations and float, one and eight at a time.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "tensor/dtype.h"

namespace tensormill {

template <DType type>
struct CudaType;
template <>
struct CudaType<DType::kF32> {
  using Type = float;
};
template <>
struct CudaType<DType::kF16> {
  using Type = __half;
};
template <>
struct CudaType<DType::kBF16> {
  using Type = __nv_bfloat16;
};

__device__ __forceinline__ float to_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(__half x) {
  return __half2float(x);
}
__device__ __forceinline__ float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <class T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// For types that are known only when running.
__device__ __forceinline__ float load_as(const void* from, DType type, int64_t i) {
  if (type == DType::kF32) return static_cast<const float*>(from)[i];
  if (type == DType::kF16) return __half2float(static_cast<const __half*>(from)[i]);
  return __bfloat162float(static_cast<const __nv_bfloat16*>(from)[i]);
}
__device__ __forceinline__ void store_as(void* to, DType type, int64_t i, float x) {
  if (type == DType::kF32) {
    static_cast<float*>(to)[i] = x;
  } else if (type == DType::kF16) {
    static_cast<__half*>(to)[i] = __float2half_rn(x);
  } else {
    static_cast<__nv_bfloat16*>(to)[i] = __float2bfloat16_rn(x);
  }
}

}  // namespace tensormill
