#pragma once

// What becomes of a product's sums.

#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

// Scale and soft cap of `count` results, in place.
[[gnu::noinline]] void scale_and_cap(const LinearArgs& args, float* x, int count) {
  const F scale = set1(args.scale == 0 ? 1.0f : args.scale), cap = set1(args.softcap);
  for_vectors(count, [&](int i, int n) {
    F value = load_some(x + i, n) * scale;
    if (args.softcap > 0) value = cap * tanh(value / cap);
    store_some(x + i, value, n);
  });
}

// A row's sums with bias and addend: values [i, i + n), n at most kLanes.
struct Sums {
  const float *sum, *bias, *addend;

  F operator()(int i, int n) const {
    F x = load_some(sum + i, n);
    if (bias != nullptr) x = x + load_some(bias + i, n);
    return addend == nullptr ? x : x + load_some(addend + i, n);
  }
};

// out = act(gate) * up of `count` neighbouring sums, or act(sum).
template <Activation kAct, class Out>
void put(const Sums& sums, bool gated, int count, Out* out) {
  if (!gated) {
    for_vectors(count, [&](int i, int n) { store_some(out + i, activate(sums(i, n), kAct), n); });
    return;
  }
  for_vectors(count / 2, [&](int i, int n) {
    const int more = 2 * n - kLanes;
    const F low = sums(2 * i, more < 0 ? 2 * n : kLanes);
    F gate, up;
    split(low, more > 0 ? sums(2 * i + kLanes, more) : zero(), gate, up);
    store_some(out + i, activate(gate, kAct) * up, n);
  });
}

template <class Out>
void put(const Sums& sums, Activation act, bool gated, int count, Out* out) {
  switch (act) {
    case Activation::kNone:
      return put<Activation::kNone>(sums, gated, count, out);
    case Activation::kRelu:
      return put<Activation::kRelu>(sums, gated, count, out);
    case Activation::kGelu:
      return put<Activation::kGelu>(sums, gated, count, out);
    case Activation::kGeluTanh:
      return put<Activation::kGeluTanh>(sums, gated, count, out);
    case Activation::kQuickGelu:
      return put<Activation::kQuickGelu>(sums, gated, count, out);
    case Activation::kSilu:
      return put<Activation::kSilu>(sums, gated, count, out);
    case Activation::kTanh:
      return put<Activation::kTanh>(sums, gated, count, out);
  }
}

// bias, addend, activation, gate, scale, cap, and the output's type, for `columns` sums of one row.
template <class Out>
void finish(const LinearArgs& args, const float* sum, int64_t row, int first, int columns) {
  const int outputs = args.weight->outputs;
  const int valid = outputs - first < columns ? outputs - first : columns;
  const Sums sums{sum, args.bias == nullptr ? nullptr : args.bias + first,
                  args.addend == nullptr ? nullptr : args.addend + row * outputs + first};
  Out* out = static_cast<Out*>(args.out.x) + row * args.out.stride;
  out += args.gated ? first / 2 : first;
  if (args.scale == 0 && args.softcap == 0) return put(sums, args.act, args.gated, valid, out);
  float results[kPanel];
  const int count = args.gated ? valid / 2 : valid;
  put(sums, args.act, args.gated, valid, results);
  scale_and_cap(args, results, count);
  for_vectors(count, [&](int i, int n) { store_some(out + i, load_some(results + i, n), n); });
}

// Fetches what finish_rows() will write and add, while a block of rows is multiplied: the stores
// would wait for it. Inlined, since GCC drops calls that do nothing but prefetch.
[[gnu::always_inline]] inline void fetch_ends(const LinearArgs& args, int64_t row, int rows,
                                              int first, int columns) {
  const int64_t size = args.out.type == DType::kF32 ? 4 : 2;
  const int outputs = args.weight->outputs;
  const int valid = outputs - first < columns ? outputs - first : columns;
  const int64_t bytes = (args.gated ? valid / 2 : valid) * size;
  const char* out = static_cast<const char*>(args.out.x) +
                    (row * args.out.stride + (args.gated ? first / 2 : first)) * size;
  for (int r = 0; r < rows; ++r, out += args.out.stride * size) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(out + i, 1, 2);
  }
  if (args.addend == nullptr || args.addend == args.out.x) return;
  const float* addend = args.addend + row * outputs + first;
  for (int r = 0; r < rows; ++r, addend += outputs) {
    for (int i = 0; i < valid; i += 16) __builtin_prefetch(addend + i, 0, 2);
  }
}

// The sums [rows][kPanel] of rows from row_begin on, `columns` outputs from `first` on.
inline void finish_rows(const LinearArgs& args, const float* sums, int64_t row_begin, int rows,
                        int first, int columns) {
  with_type(args.out.type, [&](auto* type) {
    using Out = Pointee<decltype(type)>;
    for (int r = 0; r < rows; ++r) {
      finish<Out>(args, sums + r * kPanel, row_begin + r, first, columns);
    }
  });
}

}  // namespace
}  // namespace tensormill
