// Products of 8-bit weights and inputs by tiles: a group of the inner dimension is one step of a
// tile. A group's sum is exact, so that linear_int8.cc, which takes few rows, gives the same bits.

#include "kernels/cpu/amx/panels.h"
#include "kernels/cpu/amx/tile.h"
#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kFours = 4 * kPanel;  // bytes from four to four in a panel
constexpr int kSums = kTileRows * kTileRows;
// Inputs of kTileRows rows x kRun groups stay in the first-level cache while some panels pass.
constexpr int kRun = 16;
// Fetched at each group: a share of the panel that comes next.
constexpr int kNextBytes =
    (kInt8Piece / (kPanel / kTileRows) + kTileLine - 1) / kTileLine * kTileLine;
static_assert(kInt8Group == kTileLine);

// The inputs of some rows at a run, as tiles; beyond the rows zeros or what was there.
struct alignas(64) TileInputs {
  int8_t q[kRun][kTileRows][kInt8Group];
  float scale[kRun][kTileRows];
  int32_t start[kRun][kTileRows];
  int32_t sums[2][kSums];  // of groups, in turn

  void set(const Int8Group* from, int64_t stride, int rows, int groups) {
    for (int r = 0; r < rows; ++r, from += stride) {
      for (int g = 0; g < groups; ++g) {
        __builtin_memcpy(q[g][r], from[g].q, kInt8Group);
        scale[g][r] = from[g].scale;
        start[g][r] = from[g].start;
      }
    }
  }
};

// One tile of outputs at one run: 16 outputs of some rows.
struct Pass {
  TileInputs* inputs;
  int groups, inner;     // of the run, and all that is left of the inner dimension
  const uint8_t* piece;  // the first group's
  int column;            // of the panel
  float* sum;            // [rows][kPanel]
  const uint8_t* next;   // null, or what to fetch meanwhile
};

// Tiles: sums 0, inputs 4, weights 6.
template <int kRows>
[[gnu::noinline]] void run_pass(const Pass& pass) {
  alignas(64) uint8_t last[kTileRows * kTileLine];
  TileInputs& inputs = *pass.inputs;
  F total[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) total[r] = load(pass.sum + r * kPanel);
  const uint8_t* piece = pass.piece;
  const uint8_t* next = pass.next;
  for (int g = 0; g < pass.groups; ++g, piece += kInt8Piece) {
    if (next != nullptr) {
#pragma GCC unroll 32
      for (int at = 0; at < kNextBytes; at += kTileLine) __builtin_prefetch(next + at, 0, 2);
      next += kNextBytes;
    }
    const uint8_t* w = piece + kInt8Scales + 4 * pass.column;
    int64_t stride = kFours;
    const int left = pass.inner - g * kInt8Group;
    if (left < kInt8Group) {  // the last piece is shorter; what stands there meets zeros
      __builtin_memset(last, 0, sizeof last);
      for (int k = 0; k < left; k += 4) {
        __builtin_memcpy(last + k / 4 * kTileLine, w + k * kPanel, kTileLine);
      }
      w = last;
      stride = kTileLine;
    }
    clear_tile<0>();
    load_tile<4>(inputs.q[g], kTileLine);
    load_tile<6>(w, stride);
    multiply_int8<0, 4, 6>();
    int32_t* sum = inputs.sums[g % 2];
    store_tile<0>(sum, kTileLine);
    const F scale = load(reinterpret_cast<const Bf16*>(piece) + pass.column);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const I exact =
          _mm512_add_epi32(_mm512_load_si512(sum + r * kTileRows), set1_int(inputs.start[g][r]));
      total[r] = fma(to_float(exact), scale * set1(inputs.scale[g][r]), total[r]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) store(pass.sum + r * kPanel, total[r]);
}

void run_pass(const Pass& pass, int rows) {
  if (rows > 12) return run_pass<16>(pass);
  if (rows > 8) return run_pass<12>(pass);
  return rows > 4 ? run_pass<8>(pass) : run_pass<4>(pass);
}

TileConfig config_of(int rows) {
  TileConfig config;
  config.rows[0] = config.rows[4] = static_cast<uint8_t>(rows);
  return config;
}

struct alignas(64) Chunk {
  // Whole tiles of rows are written.
  float sums[kMostPanels][kChunkRows * kPanel];
  TileInputs inputs;
};

// Groups of one run for some rows of the chunk.
struct Run {
  int begin, groups;
  int first, rows;
};

void run_block(const Packed& weight, const Panels& panels, const Run& run, Chunk& chunk) {
  const int64_t panel_bytes = int8_panel_bytes(weight.inner);
  const uint8_t* base = static_cast<const uint8_t*>(weight.data) + int64_t{run.begin} * kInt8Piece;
  for (int panel = panels.begin; panel < panels.end; ++panel) {
    const int columns = panels.columns(panel), column = panels.first(panel) % kPanel;
    const uint8_t* next = base + (panel + 1) * panel_bytes;
    if (panel + 1 == panels.end) {
      next = base + panels.begin * panel_bytes + run.groups * kInt8Piece;
    }
    float* sums = chunk.sums[panel - panels.begin] + run.first * kPanel;
    for (int c = 0; c < columns; c += kTileRows, next += kRun * kNextBytes) {
      run_pass({&chunk.inputs, run.groups, weight.inner - run.begin * kInt8Group,
                base + panel * panel_bytes, column + c, sums + c, run.first > 0 ? nullptr : next},
               run.rows);
    }
  }
}

[[gnu::noinline]] void product(const LinearArgs& args, int64_t row_begin, int rows,
                               const Panels& panels) {
  Chunk chunk;
  __builtin_memset(&chunk.inputs, 0, sizeof chunk.inputs);
  const int whole = (rows + kTileRows - 1) / kTileRows * kTileRows;
  for (int i = 0; i < panels.end - panels.begin; ++i) {
    __builtin_memset(chunk.sums[i], 0, static_cast<size_t>(whole * kPanel) * sizeof(float));
  }
  const int groups = group_count(args.weight->inner);
  const Int8Group* in = args.in.q + row_begin * groups;
  for (int begin = 0; begin < groups; begin += kRun) {
    const int some = least(kRun, groups - begin);
    for (int first = 0; first < rows; first += kTileRows) {
      const int count = least(kTileRows, rows - first);
      configure_tiles(config_of(count));
      chunk.inputs.set(in + int64_t{first} * groups + begin, groups, count, some);
      run_block(*args.weight, panels, {begin, some, first, count}, chunk);
    }
  }
  for (int panel = panels.begin; panel < panels.end; ++panel) {
    finish_rows(args, chunk.sums[panel - panels.begin], row_begin, rows, panels.first(panel),
                panels.columns(panel));
  }
}

}  // namespace

void LEVEL(linear_int8_tiles)(const LinearArgs& args, int32_t row_begin, int32_t row_end,
                              int32_t unit_begin, int32_t unit_end) {
  for_chunks(row_begin, row_end, unit_begin, unit_end,
             [&](int row, int rows, const Panels& panels) { product(args, row, rows, panels); });
  release_tiles();
}

}  // namespace tensormill
