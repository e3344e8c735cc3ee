// Products of bf16 by tiles, or for one or two rows by vectors in their order of sums: a row's sums
// don't depend on the others in its tile. A panel's rows of pairs are a tile's rows as they lie.

#include "kernels/cpu/amx/panels.h"
#include "kernels/cpu/amx/tile.h"
#include "kernels/cpu/amx/tile_order.h"
#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kDepth = 32;                 // inner elements of a step
constexpr int kPairs = 2 * kPanel * 2;     // bytes from pair to pair in a panel
constexpr int kStepBytes = 16 * kPairs;    // of a panel
constexpr int kSumRow = kPanel * 4;        // bytes
constexpr int kFewAhead = 4 * kStepBytes;  // prefetched into the second-level cache
// Many rows: inputs of kBlockRows x kRun, in tiles one after another, stay in the caches while some
// panels pass.
constexpr int kBlockRows = 2 * kTileRows;
constexpr int kRun = kSegment;
constexpr int kRunSteps = kRun / kDepth;
static_assert(kSegment % kRun == 0);

// Where the segment that begins at `begin` ends.
int segment_end(int inner, int begin) {
  return least(inner, begin + (inner <= kSegment ? kShortSegment : kSegment));
}

// sums += parts, [rows][kPanel] both.
void add_parts(float* sums, const float* parts, int rows, int columns) {
  for (int r = 0; r < rows; ++r, sums += kPanel, parts += kPanel) {
    for (int c = 0; c < columns; c += kLanes) store(sums + c, load(sums + c) + load(parts + c));
  }
}

// The last step of an inner dimension that isn't whole steps, zero-filled.
struct alignas(64) Tail {
  uint8_t weight[kStepBytes];
  Bf16 input[kTileRows * kDepth];

  void set_weight(const uint8_t* from, int depth) {
    const int pairs = (depth + 1) / 2;
    const size_t bytes = static_cast<size_t>(pairs) * kPairs;
    __builtin_memcpy(weight, from, bytes);
    __builtin_memset(weight + bytes, 0, sizeof weight - bytes);
  }
  void set_input(const Bf16* from, int64_t stride, int rows, int depth) {
    __builtin_memset(input, 0, sizeof input);
    for (int r = 0; r < rows; ++r) {
      __builtin_memcpy(input + r * kDepth, from + r * stride, static_cast<size_t>(depth) * 2);
    }
  }
};

// At most kTileRows rows. Tiles: input 4, weights 5 to 7 in turn.
TileConfig few_config(int rows) {
  TileConfig config;
  for (int tile = 0; tile < 5; ++tile) config.rows[tile] = static_cast<uint8_t>(rows);
  return config;
}

// A step of kTiles times 16 outputs.
template <int kTiles>
[[gnu::always_inline]] inline void few_step(const Bf16* x, int64_t stride, const uint8_t* w) {
  load_tile<4>(x, stride);
  load_tile<5>(w, kPairs);
  multiply_bf16<0, 4, 5>();
  if constexpr (kTiles > 1) {
    load_tile<6>(w + kTileLine, kPairs);
    multiply_bf16<1, 4, 6>();
  }
  if constexpr (kTiles > 2) {
    load_tile<7>(w + 2 * kTileLine, kPairs);
    multiply_bf16<2, 4, 7>();
  }
  if constexpr (kTiles > 3) {
    load_tile<5>(w + 3 * kTileLine, kPairs);
    multiply_bf16<3, 4, 5>();
  }
}

template <int kRows, int kTiles>
void vector_segment(const Bf16* x, int64_t stride, const uint8_t* w, int depth, float* to) {
  __builtin_memset(to, 0, size_t{kRows} * kSumRow);
  const WithoutDenormals flushed;
  const int steps = depth / kDepth;
  add_steps<kRows, kTiles, kPairs, kPanel>(x, stride, w, steps, to);
  if (depth % kDepth == 0) return;
  Tail tail;
  tail.set_weight(w + steps * kStepBytes, depth % kDepth);
  tail.set_input(x + steps * kDepth, stride, kRows, depth % kDepth);
  add_steps<kRows, kTiles, kPairs, kPanel>(tail.input, kDepth, tail.weight, 1, to);
}

// One segment's sums, each input and weight read once and in order.
template <int kTiles>
void few_segment(const Bf16* x, int64_t stride, int rows, const uint8_t* w, int depth, float* to) {
  if (rows == 1) return vector_segment<1, kTiles>(x, stride, w, depth, to);
  if (rows == 2) return vector_segment<2, kTiles>(x, stride, w, depth, to);
  clear_tile<0>();
  clear_tile<1>();
  clear_tile<2>();
  clear_tile<3>();
  int k = 0;
  for (; k + kDepth <= depth; k += kDepth, w += kStepBytes) {
#pragma GCC unroll 16
    for (int row = 0; row < 16 * kTiles; ++row) {
      __builtin_prefetch(w + kFewAhead + row / kTiles * kPairs + row % kTiles * kTileLine, 0, 2);
    }
    few_step<kTiles>(x + k, stride * 2, w);
  }
  if (k < depth) {
    Tail tail;
    tail.set_weight(w, depth - k);
    tail.set_input(x + k, stride, rows, depth - k);
    few_step<kTiles>(tail.input, kTileLine, tail.weight);
  }
  store_tile<0>(to, kSumRow);
  if constexpr (kTiles > 1) store_tile<1>(to + kTileRows, kSumRow);
  if constexpr (kTiles > 2) store_tile<2>(to + 2 * kTileRows, kSumRow);
  if constexpr (kTiles > 3) store_tile<3>(to + 3 * kTileRows, kSumRow);
}

// `columns` outputs from column `column` of one panel, for at most kTileRows rows.
void few_product(const LinearArgs& args, int64_t row_begin, int rows, int panel, int column,
                 int columns) {
  alignas(64) float sums[kTileRows * kPanel], parts[kTileRows * kPanel];
  const int inner = args.weight->inner;
  const auto* x = static_cast<const Bf16*>(args.in.x) + row_begin * args.in.stride;
  const auto* w = static_cast<const uint8_t*>(args.weight->data) +
                  static_cast<int64_t>(panel) * ((inner + 1) / 2) * kPairs + column * 4;
  for (int begin = 0, end; begin < inner; begin = end) {
    end = segment_end(inner, begin);
    float* to = begin == 0 ? sums : parts;
    const uint8_t* from = w + static_cast<int64_t>(begin) / 2 * kPairs;
    switch (columns / kTileRows) {
      case 1:
        few_segment<1>(x + begin, args.in.stride, rows, from, end - begin, to);
        break;
      case 2:
        few_segment<2>(x + begin, args.in.stride, rows, from, end - begin, to);
        break;
      case 3:
        few_segment<3>(x + begin, args.in.stride, rows, from, end - begin, to);
        break;
      default:
        few_segment<4>(x + begin, args.in.stride, rows, from, end - begin, to);
    }
    if (begin > 0) add_parts(sums, parts, rows, columns);
  }
  finish_rows(args, sums, row_begin, rows, panel * kPanel + column, columns);
}

void few_products(const LinearArgs& args, int row_begin, int rows, int unit_begin, int unit_end) {
  constexpr int kUnits = kPanel / kOutputUnit;
  if (rows > kVectorRows) configure_tiles(few_config(rows));
  for (int unit = unit_begin; unit < unit_end;) {
    const int panel = unit / kUnits, stop = least((panel + 1) * kUnits, unit_end);
    few_product(args, row_begin, rows, panel, unit % kUnits * kOutputUnit,
                (stop - unit) * kOutputUnit);
    unit = stop;
  }
}

// A block of more rows. Tiles: inputs 4 and 5 (rows below and from kTileRows on), weights 6 and 7.
TileConfig block_config(int rows) {
  TileConfig config;
  const auto first = static_cast<uint8_t>(least(rows, kTileRows));
  const auto second = static_cast<uint8_t>(rows > kTileRows ? rows - kTileRows : kTileRows);
  config.rows[0] = config.rows[1] = config.rows[4] = first;
  config.rows[2] = config.rows[3] = config.rows[5] = second;
  return config;
}

// One block's inputs of a run, [2][kRunSteps][kTileRows][kDepth], the last step zero-filled.
struct alignas(64) BlockInputs {
  Bf16 values[2][kRunSteps][kTileRows][kDepth];

  void set(const Bf16* x, int64_t stride, int rows, int depth) {
    for (int r = 0; r < rows; ++r, x += stride) {
      auto* to = values[r / kTileRows];
      int k = 0;
      for (; k + kDepth <= depth; k += kDepth) {
        __builtin_memcpy(to[k / kDepth][r % kTileRows], x + k, kTileLine);
      }
      if (k < depth) {
        Bf16* last = to[k / kDepth][r % kTileRows];
        __builtin_memset(last, 0, kTileLine);
        __builtin_memcpy(last, x + k, static_cast<size_t>(depth - k) * 2);
      }
    }
  }
};

// What one pass of a block over a run of some outputs reads and writes.
struct Pass {
  const BlockInputs* inputs;
  const uint8_t* w;
  int depth;
  const float* from;  // sums of the segment's runs before, or null; [rows][kPanel]
  float* to;
  // Null: the weights lie in the second-level cache, the next ones are fetched from there.
  // Otherwise what is to be fetched into it meanwhile.
  const uint8_t* next;
};

constexpr int kNextBytes = kStepBytes / 2;  // fetched at each step

template <int kRowTiles, int kTiles>
[[gnu::always_inline]] inline void block_step(const BlockInputs& inputs, int step,
                                              const uint8_t* w) {
  load_tile<6>(w, kPairs);
  load_tile<4>(inputs.values[0][step], kTileLine);
  multiply_bf16<0, 4, 6>();
  if constexpr (kTiles > 1) {
    load_tile<7>(w + kTileLine, kPairs);
    multiply_bf16<1, 4, 7>();
  }
  if constexpr (kRowTiles > 1) {
    load_tile<5>(inputs.values[1][step], kTileLine);
    multiply_bf16<2, 5, 6>();
    if constexpr (kTiles > 1) multiply_bf16<3, 5, 7>();
  }
}

template <int kTile>
[[gnu::always_inline]] inline void begin_tile(const float* from, int at) {
  if (from == nullptr) {
    clear_tile<kTile>();
  } else {
    load_tile<kTile>(from + at, kSumRow);
  }
}

template <int kRowTiles, int kTiles>
void run_pass(const Pass& pass) {
  constexpr int kLower = kTileRows * kPanel;
  begin_tile<0>(pass.from, 0);
  if constexpr (kTiles > 1) begin_tile<1>(pass.from, kTileRows);
  if constexpr (kRowTiles > 1) begin_tile<2>(pass.from, kLower);
  if constexpr (kRowTiles > 1 && kTiles > 1) begin_tile<3>(pass.from, kLower + kTileRows);
  const uint8_t* w = pass.w;
  const uint8_t* next = pass.next;
  const int steps = pass.depth / kDepth;
  for (int step = 0; step < steps; ++step, w += kStepBytes) {
    if (next == nullptr) {
#pragma GCC unroll 16
      for (int pair = 0; pair < 16; ++pair) {
        __builtin_prefetch(w + kStepBytes + pair * kPairs, 0, 3);
        if constexpr (kTiles > 1) {
          __builtin_prefetch(w + kStepBytes + pair * kPairs + kTileLine, 0, 3);
        }
      }
    } else {
#pragma GCC unroll 32
      for (int at = 0; at < kNextBytes; at += kTileLine) __builtin_prefetch(next + at, 0, 2);
      next += kNextBytes;
    }
    block_step<kRowTiles, kTiles>(*pass.inputs, step, w);
  }
  if (pass.depth % kDepth != 0) {
    Tail tail;
    tail.set_weight(w, pass.depth % kDepth);
    block_step<kRowTiles, kTiles>(*pass.inputs, steps, tail.weight);
  }
  store_tile<0>(pass.to, kSumRow);
  if constexpr (kTiles > 1) store_tile<1>(pass.to + kTileRows, kSumRow);
  if constexpr (kRowTiles > 1) store_tile<2>(pass.to + kLower, kSumRow);
  if constexpr (kRowTiles > 1 && kTiles > 1) store_tile<3>(pass.to + kLower + kTileRows, kSumRow);
}

void run_pass(const Pass& pass, int rows, int columns) {
  if (rows > kTileRows) return columns > kTileRows ? run_pass<2, 2>(pass) : run_pass<2, 1>(pass);
  return columns > kTileRows ? run_pass<1, 2>(pass) : run_pass<1, 1>(pass);
}

// Sums of some rows at some panels, on the way.
struct alignas(64) Chunk {
  float sums[kMostPanels][kChunkRows * kPanel];
  float parts[kMostPanels][kBlockRows * kPanel];
  BlockInputs inputs;
};

// One block of rows at one run of a segment.
struct Run {
  int begin, depth;
  bool begins, ends, add;  // the segment; its sums are added to those before
  int first, rows;         // of the chunk
};

void run_block(const LinearArgs& args, const Panels& panels, const Run& run, Chunk& chunk) {
  const int64_t panel_bytes = int64_t{(args.weight->inner + 1) / 2} * kPairs;
  const uint8_t* base = static_cast<const uint8_t*>(args.weight->data) + run.begin / 2 * kPairs;
  for (int panel = panels.begin; panel < panels.end; ++panel) {
    const int index = panel - panels.begin, columns = panels.columns(panel);
    const uint8_t* w = base + panel * panel_bytes + panels.first(panel) % kPanel * 4;
    const uint8_t* next = panel + 1 < panels.end
                              ? base + (panel + 1) * panel_bytes
                              : base + panels.begin * panel_bytes + run.depth / 2 * kPairs;
    float* parts = chunk.parts[index];
    float* sums = chunk.sums[index] + run.first * kPanel;
    for (int c = 0; c < columns; c += 2 * kTileRows) {
      float* to = run.ends && !run.add ? sums + c : parts + c;
      const uint8_t* fetch =
          run.first > 0 ? nullptr : next + c / (2 * kTileRows) * kRunSteps * kNextBytes;
      run_pass({&chunk.inputs, w + c * 4, run.depth, run.begins ? nullptr : parts + c, to, fetch},
               run.rows, columns - c);
    }
    if (run.ends && run.add) add_parts(sums, parts, run.rows, columns);
  }
}

[[gnu::noinline]] void many_product(const LinearArgs& args, int64_t row_begin, int rows,
                                    const Panels& panels) {
  Chunk chunk;
  const int inner = args.weight->inner;
  const auto* x = static_cast<const Bf16*>(args.in.x) + row_begin * args.in.stride;
  for (int segment = 0, end; segment < inner; segment = end) {
    end = segment_end(inner, segment);
    for (int first = 0; first < rows; first += kBlockRows) {
      const int some = least(kBlockRows, rows - first);
      configure_tiles(block_config(some));
      for (int begin = segment; begin < end; begin += kRun) {
        const int depth = least(kRun, end - begin);
        chunk.inputs.set(x + first * args.in.stride + begin, args.in.stride, some, depth);
        run_block(args, panels,
                  {begin, depth, begin == segment, begin + depth == end, segment > 0, first, some},
                  chunk);
      }
    }
  }
  for (int panel = panels.begin; panel < panels.end; ++panel) {
    finish_rows(args, chunk.sums[panel - panels.begin], row_begin, rows, panels.first(panel),
                panels.columns(panel));
  }
}

}  // namespace

void LEVEL(linear_tiles)(const LinearArgs& args, int32_t row_begin, int32_t row_end,
                         int32_t unit_begin, int32_t unit_end) {
  if (row_end <= row_begin || unit_end <= unit_begin) return;
  if (row_end - row_begin <= kTileRows) {
    few_products(args, row_begin, row_end - row_begin, unit_begin, unit_end);
  } else {
    for_chunks(
        row_begin, row_end, unit_begin, unit_end,
        [&](int row, int rows, const Panels& panels) { many_product(args, row, rows, panels); });
  }
  if (row_end - row_begin > kVectorRows) release_tiles();
}

}  // namespace tensormill
