#pragma once

// From the sums of a product to its outputs: addend, activation, gate, scale, cap, type.

#include <type_traits>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/table.h"

namespace tensormill {

struct ProductEnd {
  int32_t outputs;  // of the weight
  const float* addend;
  Activation act;
  bool gated;
  bool whole_pieces;  // neighbouring outputs may be stored as pieces of up to 16 bytes
  bool whole_fours;   // four neighbours of the addend may be loaded at once
  float scale, softcap;
  Rows out;
};

template <Activation act, int kCount>
__device__ __forceinline__ void activate_each(float (&x)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) x[i] = activate(act, x[i]);
}

// One choice for all values.
template <int kCount>
__device__ __forceinline__ void activate_all(Activation act, float (&x)[kCount]) {
  switch (act) {
    case Activation::kNone:
      return;
    case Activation::kRelu:
      return activate_each<Activation::kRelu>(x);
    case Activation::kGelu:
      return activate_each<Activation::kGelu>(x);
    case Activation::kGeluTanh:
      return activate_each<Activation::kGeluTanh>(x);
    case Activation::kQuickGelu:
      return activate_each<Activation::kQuickGelu>(x);
    case Activation::kSilu:
      return activate_each<Activation::kSilu>(x);
    case Activation::kTanh:
      return activate_each<Activation::kTanh>(x);
  }
}

template <class T, int kCount>
__device__ __forceinline__ void store_pieces(T* to, const float (&x)[kCount]) {
  constexpr int kAll = kCount * sizeof(T), kBytes = kAll < 16 ? kAll : 16;
  using Piece =
      std::conditional_t<kBytes == 16, uint4, std::conditional_t<kBytes == 8, uint2, uint32_t>>;
  static_assert(sizeof(Piece) == kBytes);
  alignas(16) T values[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) values[i] = from_float<T>(x[i]);
#pragma unroll
  for (int i = 0; i < kAll / kBytes; ++i) {
    reinterpret_cast<Piece*>(to)[i] = reinterpret_cast<const Piece*>(values)[i];
  }
}

// Outputs [at, at + kCount) of a row, of which there are `outputs`.
template <int kCount>
__device__ __forceinline__ void store_row(const ProductEnd& end, float (&x)[kCount], int32_t row,
                                          int32_t at, int32_t outputs) {
  if (end.scale != 0.0f || end.softcap != 0.0f) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] = scale_and_cap(x[i], end.scale, end.softcap);
  }
  const int64_t to = row * end.out.stride + at;
  if (!end.whole_pieces || at + kCount > outputs) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (at + i < outputs) store_as(end.out.x, end.out.type, to + i, x[i]);
    }
  } else if (end.out.type == DType::kF32) {
    store_pieces(static_cast<float*>(end.out.x) + to, x);
  } else if (end.out.type == DType::kF16) {
    store_pieces(static_cast<__half*>(end.out.x) + to, x);
  } else {
    store_pieces(static_cast<__nv_bfloat16*>(end.out.x) + to, x);
  }
}

// x[i] += values[i], of which there are `left`.
template <int kCount>
__device__ __forceinline__ void add_values(float (&x)[kCount], const float* values, int32_t left,
                                           bool fours) {
  if (kCount % 4 == 0 && fours && left >= kCount) {
#pragma unroll
    for (int i = 0; i < kCount / 4; ++i) {
      const float4 four = reinterpret_cast<const float4*>(values)[i];
      x[4 * i] += four.x, x[4 * i + 1] += four.y, x[4 * i + 2] += four.z, x[4 * i + 3] += four.w;
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (i < left) x[i] += values[i];
  }
}

// From neighbouring sums of one row to its outputs.
template <int kCount>
__device__ __forceinline__ void end_row(const ProductEnd& end, float (&x)[kCount], int32_t row,
                                        int32_t output) {
  const int32_t left = end.outputs - output;
  if (end.addend != nullptr) {
    add_values(x, end.addend + int64_t{row} * end.outputs + output, left, end.whole_fours);
  }
  if (!end.gated) {
    activate_all(end.act, x);
    return store_row(end, x, row, output, end.outputs);
  }
  float y[kCount / 2];
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) y[i] = x[2 * i];
  activate_all(end.act, y);
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) y[i] *= x[2 * i + 1];
  store_row(end, y, row, output / 2, end.outputs / 2);
}

inline bool whole(const void* address) {  // null is
  return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

inline ProductEnd end_of(const LinearArgs& args) {
  const int32_t outputs = args.weight->outputs;
  return {outputs,
          args.addend,
          args.act,
          args.gated,
          whole(args.out.x) && args.out.stride * dtype_size(args.out.type) % 16 == 0,
          whole(args.addend) && outputs % 4 == 0,
          args.scale,
          args.softcap,
          args.out};
}

}  // namespace tensormill
