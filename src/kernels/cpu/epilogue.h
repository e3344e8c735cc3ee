#pragma once

// What becomes of a product's sums.

#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

// Scale and soft cap of `count` results, in place. Apart, so that the usual path stays small.
[[gnu::noinline]] void scale_and_cap(const LinearArgs& args, float* x, int count) {
  const F scale = set1(args.scale == 0 ? 1.0f : args.scale), cap = set1(args.softcap);
  for_vectors(count, [&](int i, int n) {
    F value = load_some(x + i, n) * scale;
    if (args.softcap > 0) value = cap * tanh(value / cap);
    store_some(x + i, value, n);
  });
}

// bias, addend, activation, gate, scale, cap, and the output's type, for `columns` sums of one row.
template <class Out>
void finish(const LinearArgs& args, float* sum, int64_t row, int first, int columns) {
  const int outputs = args.weight->outputs;
  const int valid = outputs - first < columns ? outputs - first : columns;
  if (args.bias != nullptr) {
    const float* bias = args.bias + first;
    for_vectors(valid,
                [&](int i, int n) { store(sum + i, load(sum + i) + load_some(bias + i, n)); });
  }
  if (args.addend != nullptr) {
    const float* addend = args.addend + row * outputs + first;
    for_vectors(valid,
                [&](int i, int n) { store(sum + i, load(sum + i) + load_some(addend + i, n)); });
  }
  Out* out = static_cast<Out*>(args.out.x) + row * args.out.stride;
  const bool scales = args.scale != 0 || args.softcap > 0;
  if (!args.gated) {
    activate(sum, columns, args.act);
    if (scales) scale_and_cap(args, sum, valid);
    for_vectors(valid, [&](int i, int n) { store_some(out + first + i, load(sum + i), n); });
    return;
  }
  float gate[kPanel / 2], up[kPanel / 2];
  for (int i = 0; i < columns / 2; ++i) {
    gate[i] = sum[2 * i];
    up[i] = sum[2 * i + 1];
  }
  for_vectors(valid / 2, [&](int i, int n) {
    store_some(gate + i, activate(load_some(gate + i, n), args.act) * load_some(up + i, n), n);
  });
  if (scales) scale_and_cap(args, gate, valid / 2);
  for_vectors(valid / 2,
              [&](int i, int n) { store_some(out + first / 2 + i, load_some(gate + i, n), n); });
}

// The sums [rows][kPanel] of rows from row_begin on, `columns` outputs from `first` on.
inline void finish_rows(const LinearArgs& args, float* sums, int64_t row_begin, int rows, int first,
                        int columns) {
  with_type(args.out.type, [&](auto* type) {
    using Out = Pointee<decltype(type)>;
    for (int r = 0; r < rows; ++r) {
      finish<Out>(args, sums + r * kPanel, row_begin + r, first, columns);
    }
  });
}

}  // namespace
}  // namespace tensormill
