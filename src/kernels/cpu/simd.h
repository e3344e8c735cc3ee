#pragma once

// Vectors of f32 for the level that an object is compiled for; kernels are written once on them.
// Everything has internal linkage: objects of different levels share nothing (see cpu.cmake).

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace tensormill {
namespace {

struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

template <class To, class From>
[[gnu::always_inline]] inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace
}  // namespace tensormill

#if defined(__AVX512F__)
#include "kernels/cpu/simd_avx512.h"
#elif defined(__AVX2__)
#include "kernels/cpu/simd_avx2.h"
#else
#include "kernels/cpu/simd_portable.h"
#endif

namespace tensormill {
namespace {

// The first n values of a row's tail, the rest zero; n is kLanes or less.
template <class T>
[[gnu::always_inline]] inline F load_some(const T* from, int n) {
  return n == kLanes ? load(from) : load_n(from, n);
}
template <class T>
[[gnu::always_inline]] inline void store_some(T* to, F x, int n) {
  if (n == kLanes) {
    store(to, x);
  } else {
    store_n(to, x, n);
  }
}

template <class T>
struct PointeeOf;
template <class T>
struct PointeeOf<T*> {
  using Type = T;
};
template <class Pointer>
using Pointee = typename PointeeOf<Pointer>::Type;

// Calls f with a null pointer of the element type that a dtype stands for.
template <class Function>
[[gnu::always_inline]] inline void with_type(DType type, Function&& f) {
  switch (type) {
    case DType::kBF16:
      return f(static_cast<Bf16*>(nullptr));
    case DType::kF16:
      return f(static_cast<F16*>(nullptr));
    default:
      return f(static_cast<float*>(nullptr));
  }
}

// Sum of get(i, n) for i = 0, kLanes, ... < count in one fixed order. get returns n values from i
// and zeros.
template <class Get>
[[gnu::always_inline]] inline float sum_of(int count, Get&& get) {
  F sum[4] = {zero(), zero(), zero(), zero()};
  int i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    for (int j = 0; j < 4; ++j) sum[j] = sum[j] + get(i + j * kLanes, kLanes);
  }
  for (; i + kLanes <= count; i += kLanes) sum[0] = sum[0] + get(i, kLanes);
  if (i < count) sum[1] = sum[1] + get(i, count - i);
  return reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// Calls f(i, n) for pieces of at most kLanes that cover [0, count).
template <class Function>
[[gnu::always_inline]] inline void for_vectors(int count, Function&& f) {
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) f(i, kLanes);
  if (i < count) f(i, count - i);
}

}  // namespace
}  // namespace tensormill
