// Products. A panel's outputs lie in the vector lanes; a block of rows times some vectors of
// outputs walks one segment of the inner dimension in registers. Neither the number of rows nor of
// vectors changes an output's order of sums.

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr int kBlockRows = 6;  // 6 rows x 4 vectors of sums leave room for the weights
constexpr int kWideRows = 6;   // up to so many rows take a whole panel at once
#elif defined(__AVX2__)
constexpr int kBlockRows = 6;
constexpr int kWideRows = 1;
#else
constexpr int kBlockRows = 2;
constexpr int kWideRows = 0;
#endif
constexpr int kNarrow = kOutputUnit / kLanes;
constexpr int kWide = kPanel / kLanes;
constexpr int kChunkRows = 96;        // rows whose sums are held at once
constexpr int kPrefetchBytes = 4096;  // ahead in a panel, into the second-level cache

// Weights of one format: the element type of a panel, inner elements per step, and the input.
struct F32Weights {
  using Element = float;
  using Input = float;
  static constexpr int kStep = 1;
};
struct F16Weights {
  using Element = F16;
  using Input = float;
  static constexpr int kStep = 1;
};
struct Bf16Weights {
  using Element = Bf16;
#ifdef __AVX512BF16__
  using Input = Bf16;  // multiplied in pairs
#else
  using Input = float;  // both sides widened
#endif
  static constexpr int kStep = 2;
};

// One step of the inner dimension: sum[r][v] += x[r] * w[v].
template <class W, int R, int V>
[[gnu::always_inline]] inline void step(const float* const (&x)[R], int k,
                                        const typename W::Element* w, F (&sum)[R][V]) {
  if constexpr (W::kStep == 1) {
    F weight[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) weight[v] = load(w + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F input = set1(x[r][k]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = fma(weight[v], input, sum[r][v]);
    }
  } else {
    F even[V], odd[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) load_pairs(w + 2 * v * kLanes, even[v], odd[v]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F first = set1(x[r][k]), second = set1(x[r][k + 1]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        sum[r][v] = fma(odd[v], second, fma(even[v], first, sum[r][v]));
      }
    }
  }
}

#ifdef __AVX512BF16__
template <class W, int R, int V>
[[gnu::always_inline]] inline void step(const Bf16* const (&x)[R], int k, const Bf16* w,
                                        F (&sum)[R][V]) {
  I weight[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) weight[v] = _mm512_loadu_si512(w + 2 * v * kLanes);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    int32_t pair;
    __builtin_memcpy(&pair, x[r] + k, sizeof pair);
    const auto input = bits_as<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      sum[r][v] = _mm512_dpbf16_ps(sum[r][v], bits_as<__m512bh>(weight[v]), input);
    }
  }
}
#endif

// Where a block of rows finds its inputs, its weights and its sums.
template <class W>
struct Block {
  const typename W::Input* x;  // first row, at the segment
  int64_t x_stride;
  int depth;                     // of the segment
  const typename W::Element* w;  // at the segment, in the panel's first wanted column
  float* sum;                    // [rows][kPanel], in the first wanted column
  bool add;                      // a later segment: add to the sums
  bool stream;                   // the weights come from memory
};

template <class W, int R, int V>
void multiply(const Block<W>& block, int column) {
  const typename W::Input* x[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) x[r] = block.x + r * block.x_stride;
  constexpr int kRow = kPanel * W::kStep;
  const typename W::Element* w = block.w + column * W::kStep;
  F sum[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = zero();
  }
  int k = 0;
  if (block.stream) {
    for (; k + W::kStep <= block.depth; k += W::kStep, w += kRow) {
      constexpr int kBytes = V * kLanes * W::kStep * static_cast<int>(sizeof *w);
      for (int at = 0; at < kBytes; at += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(w) + kPrefetchBytes + at, 0, 2);
      }
      step<W, R, V>(x, k, w, sum);
    }
  } else {
    for (; k + W::kStep <= block.depth; k += W::kStep, w += kRow) step<W, R, V>(x, k, w, sum);
  }
  if (k < block.depth) {  // an odd inner dimension ends with half a pair
    typename W::Input last[R][2];
    const typename W::Input* tail[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      last[r][0] = x[r][k];
      last[r][1] = {};
      tail[r] = last[r];
    }
    step<W, R, V>(tail, 0, w, sum);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      float* to = block.sum + r * kPanel + column + v * kLanes;
      store(to, block.add ? load(to) + sum[r][v] : sum[r][v]);
    }
  }
}

template <class W, int R>
void multiply_columns(const Block<W>& block, int columns) {
  if constexpr (R <= kWideRows) {
    if (columns == kPanel) return multiply<W, R, kWide>(block, 0);
  }
  for (int c = 0; c < columns; c += kOutputUnit) multiply<W, R, kNarrow>(block, c);
}

template <class W>
void multiply_rows(const Block<W>& block, int rows, int columns) {
  if constexpr (kBlockRows > 2) {
    switch (rows) {
      case 3:
        return multiply_columns<W, 3>(block, columns);
      case 4:
        return multiply_columns<W, 4>(block, columns);
      case 5:
        return multiply_columns<W, 5>(block, columns);
      case 6:
        return multiply_columns<W, 6>(block, columns);
      default:
        break;
    }
  }
  return rows == 1 ? multiply_columns<W, 1>(block, columns)
                   : multiply_columns<W, 2>(block, columns);
}

// The rows' inputs at one segment: in place, or widened into `wide` ([kBlockRows][kSegment]).
template <class W>
[[gnu::always_inline]] inline void set_input(Block<W>& block, const Rows& in, int64_t row, int rows,
                                             int begin, float* wide) {
  if constexpr (W::kStep == 2 && sizeof(typename W::Input) == 4) {
    const Bf16* from = static_cast<const Bf16*>(in.x) + row * in.stride + begin;
    for (int r = 0; r < rows; ++r, from += in.stride) {
      for_vectors(block.depth, [&](int i, int n) {
        store_some(wide + r * kSegment + i, load_some(from + i, n), n);
      });
    }
    block.x = wide;
    block.x_stride = kSegment;
  } else {
    block.x = static_cast<const typename W::Input*>(in.x) + row * in.stride + begin;
    block.x_stride = in.stride;
  }
}

// `columns` outputs from column `column` of one panel, for at most kChunkRows rows.
template <class W>
void product(const LinearArgs& args, int64_t row_begin, int rows, int panel, int column,
             int columns) {
  alignas(64) float sums[kChunkRows * kPanel];
  alignas(64) float wide[kBlockRows * kSegment];
  const Packed& weight = *args.weight;
  const int inner = weight.inner;
  const int64_t depth = (inner + W::kStep - 1) / W::kStep * W::kStep;
  const auto* base = static_cast<const typename W::Element*>(weight.data) +
                     panel * (depth * kPanel) + column * W::kStep;
  const int segment = inner <= kSegment ? kShortSegment : kSegment;
  const int blocks = (rows + kBlockRows - 1) / kBlockRows;
  for (int begin = 0; begin < inner; begin += segment) {
    Block<W> block;
    block.depth = inner - begin < segment ? inner - begin : segment;
    block.w = base + static_cast<int64_t>(begin) * kPanel;
    block.add = begin > 0;
    for (int b = 0; b < blocks; ++b) {
      const int first = rows * b / blocks, last = rows * (b + 1) / blocks;
      block.stream = b == 0;
      block.sum = sums + first * kPanel;
      set_input(block, args.in, row_begin + first, last - first, begin, wide);
      multiply_rows(block, last - first, columns);
    }
  }
  finish_rows(args, sums, row_begin, rows, panel * kPanel + column, columns);
}

template <class W>
void products(const LinearArgs& args, int32_t row_begin, int32_t row_end, int32_t unit_begin,
              int32_t unit_end) {
  constexpr int kUnits = kPanel / kOutputUnit;
  for (int unit = unit_begin; unit < unit_end;) {
    const int panel = unit / kUnits;
    const int stop = (panel + 1) * kUnits < unit_end ? (panel + 1) * kUnits : unit_end;
    for (int row = row_begin; row < row_end; row += kChunkRows) {
      const int rows = row_end - row < kChunkRows ? row_end - row : kChunkRows;
      product<W>(args, row, rows, panel, unit % kUnits * kOutputUnit, (stop - unit) * kOutputUnit);
    }
    unit = stop;
  }
}

}  // namespace

void LEVEL(linear)(const LinearArgs& args, int32_t row_begin, int32_t row_end, int32_t unit_begin,
                   int32_t unit_end) {
  switch (args.weight->format) {
    case WeightFormat::kF32:
      return products<F32Weights>(args, row_begin, row_end, unit_begin, unit_end);
    case WeightFormat::kF16:
      return products<F16Weights>(args, row_begin, row_end, unit_begin, unit_end);
    case WeightFormat::kBF16:
      return products<Bf16Weights>(args, row_begin, row_end, unit_begin, unit_end);
    case WeightFormat::kInt8:
      return LEVEL(linear_int8)(args, row_begin, row_end, unit_begin, unit_end);
  }
}

}  // namespace tensormill
