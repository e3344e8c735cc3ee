// Products of 8-bit weights and inputs, both in groups along the inner dimension. As in linear.cc a
// block of rows times some vectors of outputs walks one group in registers; then the group's sums
// are scaled and added to those before.

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX512VNNI__)
constexpr int kBlockRows = 6;  // 6 rows x 2 vectors, of a group and of all before, in registers
constexpr int kWideRows = 3;   // so many rows alone take a whole panel at once
#elif defined(__AVX512F__) || defined(__AVX2__)
constexpr int kBlockRows = 4;
constexpr int kWideRows = 1;
#else
constexpr int kBlockRows = 2;
constexpr int kWideRows = 1;
#endif
#ifdef __AMX_TILE__
constexpr int kTileRowsFrom = 13;  // fewer are faster here
#endif
constexpr int kWide = kPanel / kLanes;
constexpr int kVectors = 2;
constexpr int kNarrow = kOutputUnit / kLanes < kVectors ? kOutputUnit / kLanes : kVectors;
// Groups that all rows pass before the next ones. Few rows begin with short ones, whose wait for
// memory is short; many read long ones from the second-level cache.
constexpr int kShortRun = 8, kLongRun = 32;
constexpr int kFewBlocks = 3;
constexpr int kChunkRows = 48;  // rows whose sums are held at once
constexpr int kLine = 64;       // bytes of a line of the caches
constexpr int kStepBytes = 4 * kPanel;
constexpr int kGroupSteps = kInt8Group / 4;
constexpr int kPrefetchBytes = 4096;  // ahead of the weights read, into the second-level cache
// From group to group of what Quads reads.
constexpr int kNextInput =
    sizeof(Quads::Input) == 1 ? static_cast<int>(sizeof(Int8Group)) : kInt8Group;

// Where a block of rows finds a run of groups of its inputs, its weights and its sums.
struct Block {
  const Quads::Input* x[kBlockRows];
  const Int8Group* group[kBlockRows];
  int groups, inner;     // of the run, and all that is left of the inner dimension
  const uint8_t* piece;  // the first group's, from the first wanted column on: scales and
  const uint8_t* w;      // [depth / 4][kPanel][4]
  float* sum;            // [rows][kPanel]
  bool begins;           // the first run: the sums are zero
  // Fetched meanwhile: what lies ahead of the weights read; or with `share` the next run, of which
  // every pass fetches its share, so that memory never waits for those that find theirs in the
  // cache.
  bool share;
  const uint8_t* next;
  int advance;  // at each step of the inner dimension
};

template <int R, int V>
[[gnu::always_inline]] inline void step(const Quads::Input* const (&x)[R], int k, const uint8_t* w,
                                        I (&sum)[R][V]) {
  if constexpr (R == 1) {  // one weight at a time: room for a whole panel
    const Quads::Four input = Quads::input(x[0], k);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      sum[0][v] = Quads::add(sum[0][v], Quads::load(w + 4 * v * kLanes), input);
    }
    return;
  }
  Quads::Weight weight[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) weight[v] = Quads::load(w + 4 * v * kLanes);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const Quads::Four input = Quads::input(x[r], k);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = Quads::add(sum[r][v], weight[v], input);
  }
}

// Not inlined: the sums then stay in registers. kLines are fetched at each step.
template <int R, int V, int kLines>
[[gnu::noinline]] void multiply(const Block& block, int column) {
  F total[R][V];
  const Quads::Input* x[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    x[r] = block.x[r];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      total[r][v] = block.begins ? zero() : load(block.sum + r * kPanel + column + v * kLanes);
    }
  }
  const uint8_t* w = block.w + 4 * column;
  const Bf16* scales = reinterpret_cast<const Bf16*>(block.piece) + column;
  const uint8_t* fetch = block.share ? block.next : w - kInt8Scales + kPrefetchBytes;
  for (int g = 0; g < block.groups; ++g) {
    I sum[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] = set1_int(block.group[r][g].start);
    }
    const int left = block.inner - g * kInt8Group, depth = left < kInt8Group ? left : kInt8Group;
    const uint8_t* at = w;
    for (int k = 0; k < depth; k += 4, at += 4 * kPanel) {
#pragma GCC unroll 4
      for (int line = 0; line < kLines; ++line) __builtin_prefetch(fetch + kLine * line, 0, 2);
      fetch += block.advance;
      step<R, V>(x, k, at, sum);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kInt8Scales; i += kLine, fetch += kLine) __builtin_prefetch(fetch, 0, 2);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      const F scale = load(scales + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        total[r][v] = fma(to_float(sum[r][v]), scale * set1(block.group[r][g].scale), total[r][v]);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) x[r] += kNextInput;
    w += kInt8Piece;
    scales += kInt8Piece / 2;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) store(block.sum + r * kPanel + column + v * kLanes, total[r][v]);
  }
}

template <int R, int V>
void multiply(Block& block, int column) {
  constexpr int kOwnLines = V * kLanes * 4 / kLine > 0 ? V * kLanes * 4 / kLine : 1;
  if (!block.share) return multiply<R, V, kOwnLines>(block, column);
  block.advance > kLine ? multiply<R, V, 2>(block, column) : multiply<R, V, 1>(block, column);
  block.next += block.groups * (block.advance * kGroupSteps + kInt8Scales);
}

template <int R>
void multiply_columns(Block& block, int columns) {
  if constexpr (R <= kWideRows) {  // each line of the weights once, in order
    if (!block.share && columns == kPanel) return multiply<R, kWide, kStepBytes / kLine>(block, 0);
  }
  int c = 0;
  for (; c + kVectors * kLanes <= columns; c += kVectors * kLanes) multiply<R, kVectors>(block, c);
  for (; c < columns; c += kNarrow * kLanes) multiply<R, kNarrow>(block, c);
}

void multiply_rows(Block& block, int rows, int columns) {
  if constexpr (kBlockRows > 2) {
    if (rows == 3) return multiply_columns<3>(block, columns);
    if (rows == 4) return multiply_columns<4>(block, columns);
  }
  if constexpr (kBlockRows > 4) {
    if (rows == 5) return multiply_columns<5>(block, columns);
    if (rows == 6) return multiply_columns<6>(block, columns);
  }
  return rows == 1 ? multiply_columns<1>(block, columns) : multiply_columns<2>(block, columns);
}

// How `blocks` blocks of rows share what is to be fetched.
void set_prefetch(Block& block, int run, int rows, int blocks, int columns) {
  const int passes = blocks * kPanel / (kVectors * kLanes);
  block.share = rows > kWideRows && columns == kPanel;
  block.next = block.piece + run * kInt8Piece;
  const int bytes = (kInt8Piece + passes - 1) / passes - kInt8Scales;  // of a group
  block.advance = !block.share ? kStepBytes
                  : bytes < 0  ? 0
                               : (bytes + kGroupSteps - 1) / kGroupSteps;
}

// `columns` outputs from column `column` of one panel, for at most kChunkRows rows.
void product(const LinearArgs& args, int64_t row_begin, int rows, int panel, int column,
             int columns) {
  alignas(64) float sums[kChunkRows * kPanel];
  alignas(64) Quads::Input wide[kBlockRows][kLongRun * kInt8Group];
  const Packed& weight = *args.weight;
  const int inner = weight.inner;
  const int groups = group_count(inner);
  const uint8_t* piece = static_cast<const uint8_t*>(weight.data) + panel * int8_panel_bytes(inner);
  const Int8Group* in = args.in.q + row_begin * groups;
  const int blocks = (rows + kBlockRows - 1) / kBlockRows;
  const int run = blocks > kFewBlocks ? kLongRun : kShortRun;
  for (int g = 0; g < groups; g += run, piece += run * kInt8Piece) {
    Block block;
    block.groups = groups - g < run ? groups - g : run;
    block.inner = inner - g * kInt8Group;
    block.begins = g == 0;
    block.piece = piece + 2 * column;
    block.w = piece + kInt8Scales + 4 * column;
    set_prefetch(block, run, rows, blocks, columns);
    for (int b = 0; b < blocks; ++b) {
      const int first = rows * b / blocks, count = rows * (b + 1) / blocks - first;
      for (int r = 0; r < count; ++r) {
        const Int8Group* from = in + int64_t{first + r} * groups + g;
        block.group[r] = from;
        block.x[r] = Quads::place(from, block.groups, wide[r]);
      }
      const int64_t row = row_begin + first;
      block.sum = sums + first * kPanel;
      const bool last = g + block.groups == groups;
      if (last) fetch_ends(args, row, count, panel * kPanel + column, columns);
      multiply_rows(block, count, columns);
      if (last) finish_rows(args, block.sum, row, count, panel * kPanel + column, columns);
    }
  }
}

template <class From>
void quantize_rows(const Rows& rows, int32_t width, int32_t row_begin, int32_t row_end) {
  alignas(64) float x[kInt8Group];
  const int groups = group_count(width);
  for (int64_t row = row_begin; row < row_end; ++row) {
    const From* from = static_cast<const From*>(rows.x) + row * rows.stride;
    for (int g = 0; g < groups; ++g, from += kInt8Group) {
      const int left = width - g * kInt8Group, count = left < kInt8Group ? left : kInt8Group;
      for_vectors(count, [&](int i, int n) { store_some(x + i, load_some(from + i, n), n); });
      quantize_group(x, count, rows.q[row * groups + g]);
    }
  }
}

}  // namespace

void LEVEL(linear_int8)(const LinearArgs& args, int32_t row_begin, int32_t row_end,
                        int32_t unit_begin, int32_t unit_end) {
#ifdef __AMX_TILE__
  if (row_end - row_begin >= kTileRowsFrom) {
    return LEVEL(linear_int8_tiles)(args, row_begin, row_end, unit_begin, unit_end);
  }
#endif
  constexpr int kUnits = kPanel / kOutputUnit;
  for (int unit = unit_begin; unit < unit_end;) {
    const int panel = unit / kUnits, last = (panel + 1) * kUnits;
    const int stop = last < unit_end ? last : unit_end;
    for (int row = row_begin; row < row_end; row += kChunkRows) {
      const int rows = row_end - row < kChunkRows ? row_end - row : kChunkRows;
      product(args, row, rows, panel, unit % kUnits * kOutputUnit, (stop - unit) * kOutputUnit);
    }
    unit = stop;
  }
}

void LEVEL(quantize)(const Rows& rows, int32_t width, int32_t row_begin, int32_t row_end) {
  with_type(rows.type, [&](auto* type) {
    quantize_rows<Pointee<decltype(type)>>(rows, width, row_begin, row_end);
  });
}

}  // namespace tensormill
