// Products. A panel's outputs lie in the vector lanes; a block of rows times some vectors of
// outputs walks one segment of the inner dimension in registers. Neither the number of rows nor of
// vectors changes an output's order of sums.

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr int kMostRows = 6;  // of a block: 6 rows x 4 vectors of sums leave room for the weights
constexpr int kWideRows = 6;  // up to so many rows take a whole panel at once
#elif defined(__AVX2__)
constexpr int kMostRows = 6;
constexpr int kWideRows = 1;
#else
constexpr int kMostRows = 2;
constexpr int kWideRows = 0;
#endif
constexpr int kNarrow = kOutputUnit / kLanes;
constexpr int kWide = kPanel / kLanes;
constexpr int kChunkRows = 96;  // rows whose sums are held at once
// Bytes of a panel that all rows pass before the next ones, at most a segment. Few rows wait for
// the first ones, so they are few; many read the second-level cache.
constexpr int kShortRun = 16384, kLongRun = 1 << 20;
constexpr int kFewBlocks = 4;
constexpr int kLine = 64;             // bytes of a line of the caches
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

// Rows of a block; widened pairs take twice the registers.
template <class W>
constexpr bool kWidens = W::kStep == 2 && sizeof(typename W::Input) == 4;
template <class W>
constexpr int kBlockRows = kMostRows == 6 && kWidens<W> ? 5 : kMostRows;

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

// Where a block of rows finds a run's inputs, its weights and its sums.
template <class W>
struct Block {
  const typename W::Input* x;  // first row, at the run
  int64_t x_stride;
  int depth;                     // of the run
  const typename W::Element* w;  // at the run, in the panel's first wanted column
  float *sum, *part;  // [rows][kPanel], in the first wanted column: of segments before, of this one
  bool begins, ends;  // the run a segment
  bool add;           // a later segment: add to the sums
  // Fetched meanwhile: what lies ahead of the weights read; or with `share` the next run, of which
  // every pass fetches its share, so that memory never waits for those that find theirs in the
  // cache.
  bool share;
  const char* next;
  int advance;  // at each step of the inner dimension
};

template <class W>
constexpr int kStepBytes = kPanel* W::kStep* static_cast<int>(sizeof(typename W::Element));

// kLines are fetched at each step.
template <class W, int R, int V, int kLines>
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
    for (int v = 0; v < V; ++v) {
      const float* part = block.part + r * kPanel + column + v * kLanes;
      sum[r][v] = block.begins ? zero() : load(part);
    }
  }
  const char* fetch = block.share ? block.next : reinterpret_cast<const char*>(w) + kPrefetchBytes;
  int k = 0;
  for (; k + W::kStep <= block.depth; k += W::kStep, w += kRow) {
#pragma GCC unroll 4
    for (int line = 0; line < kLines; ++line) __builtin_prefetch(fetch + kLine * line, 0, 2);
    fetch += block.advance;
    step<W, R, V>(x, k, w, sum);
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
      float* to = (block.ends ? block.sum : block.part) + r * kPanel + column + v * kLanes;
      store(to, block.ends && block.add ? load(to) + sum[r][v] : sum[r][v]);
    }
  }
}

template <class W, int R, int V>
void multiply(Block<W>& block, int column) {
  constexpr int kBytes = V * kLanes * W::kStep * static_cast<int>(sizeof(typename W::Element));
  if (!block.share) return multiply<W, R, V, (kBytes + kLine - 1) / kLine>(block, column);
  if (block.advance > kLine) {
    multiply<W, R, V, 2>(block, column);
  } else {
    multiply<W, R, V, 1>(block, column);
  }
  block.next += block.depth / W::kStep * block.advance;
}

template <class W, int R>
void multiply_columns(Block<W>& block, int columns) {
  if constexpr (R <= kWideRows) {
    if (columns == kPanel) return multiply<W, R, kWide>(block, 0);
  }
  for (int c = 0; c < columns; c += kOutputUnit) multiply<W, R, kNarrow>(block, c);
}

template <class W>
void multiply_rows(Block<W>& block, int rows, int columns) {
  constexpr int kMost = kBlockRows<W>;
  if constexpr (kMost > 5) {
    if (rows == 6) return multiply_columns<W, 6>(block, columns);
  }
  if constexpr (kMost > 2) {
    if (rows == 3) return multiply_columns<W, 3>(block, columns);
    if (rows == 4) return multiply_columns<W, 4>(block, columns);
    if (rows == 5) return multiply_columns<W, 5>(block, columns);
  }
  return rows == 1 ? multiply_columns<W, 1>(block, columns)
                   : multiply_columns<W, 2>(block, columns);
}

// The rows' inputs at one run: in place, or widened into `wide` ([rows][kSegment]).
template <class W>
[[gnu::always_inline]] inline void set_input(Block<W>& block, const Rows& in, int64_t row, int rows,
                                             int begin, float* wide) {
  if constexpr (kWidens<W>) {
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

// How `blocks` blocks of rows share what is to be fetched from `next` on.
template <class W>
void set_prefetch(Block<W>& block, const typename W::Element* next, int blocks, int columns) {
  const int passes = kBlockRows<W> <= kWideRows ? blocks : blocks * (kPanel / kOutputUnit);
  block.share = passes > 1 && columns == kPanel;
  block.next = reinterpret_cast<const char*>(next);
  block.advance = block.share ? (kStepBytes<W> + passes - 1) / passes : kStepBytes<W>;
}

// `columns` outputs from column `column` of one panel, for at most kChunkRows rows.
template <class W>
void product(const LinearArgs& args, int64_t row_begin, int rows, int panel, int column,
             int columns) {
  alignas(64) float sums[kChunkRows * kPanel], parts[kChunkRows * kPanel];
  alignas(64) float wide[kBlockRows<W> * kSegment];
  const Packed& weight = *args.weight;
  const int inner = weight.inner;
  const int64_t depth = (inner + W::kStep - 1) / W::kStep * W::kStep;
  const auto* base =
      static_cast<const typename W::Element*>(weight.data) + panel * (depth * kPanel);
  const int segment = inner <= kSegment ? kShortSegment : kSegment;
  const int blocks = (rows + kBlockRows<W> - 1) / kBlockRows<W>;
  const int run = (blocks > kFewBlocks ? kLongRun : kShortRun) / kStepBytes<W> * W::kStep;
  Block<W> block;
  for (int begin = 0; begin < inner; begin += block.depth) {
    const int end =
        inner - begin < segment - begin % segment ? inner : begin - begin % segment + segment;
    block.depth = end - begin < run ? end - begin : run;
    block.begins = begin % segment == 0;
    block.ends = begin + block.depth == end;
    block.add = begin >= segment;
    const typename W::Element* from = base + static_cast<int64_t>(begin) * kPanel;
    block.w = from + column * W::kStep;
    set_prefetch(block, from + static_cast<int64_t>(block.depth) * kPanel, blocks, columns);
    for (int b = 0; b < blocks; ++b) {
      const int first = rows * b / blocks, count = rows * (b + 1) / blocks - first;
      const int64_t row = row_begin + first;
      block.sum = sums + first * kPanel;
      block.part = parts + first * kPanel;
      set_input(block, args.in, row, count, begin, wide);
      const bool last = begin + block.depth == inner;
      if (last) fetch_ends(args, row, count, panel * kPanel + column, columns);
      multiply_rows(block, count, columns);
      if (last) finish_rows(args, block.sum, row, count, panel * kPanel + column, columns);
    }
  }
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
#ifdef __AMX_TILE__
      return LEVEL(linear_tiles)(args, row_begin, row_end, unit_begin, unit_end);
#endif
      return products<Bf16Weights>(args, row_begin, row_end, unit_begin, unit_end);
    case WeightFormat::kInt8:
      return LEVEL(linear_int8)(args, row_begin, row_end, unit_begin, unit_end);
  }
}

}  // namespace tensormill
