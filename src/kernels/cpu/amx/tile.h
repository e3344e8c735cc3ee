#pragma once

// AMX's eight tile registers. GCC's own intrinsics don't say that they read memory, so that stores
// before them may be moved or dropped.

#include <cstdint>

namespace tensormill {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileLine = 64;  // bytes of a row of a tile

// Tiles 0 to 3 are sums; how the others are used is said beside each kernel.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Zeroes all tiles.
[[gnu::always_inline]] inline void configure_tiles(const TileConfig& config) {
  asm volatile("ldtilecfg %0" ::"m"(config));
}

// Tiles not given back make every change of threads slower.
[[gnu::always_inline]] inline void release_tiles() {
  asm volatile("tilerelease");
}

template <int kTile>
[[gnu::always_inline]] inline void clear_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}

// Rows `stride` bytes apart.
template <int kTile>
[[gnu::always_inline]] inline void load_tile(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
[[gnu::always_inline]] inline void store_tile(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
}

// sum += input * weight. bf16: 32 inner elements, even and odd ones summed apart, then added;
// denormals are zero.
template <int kSum, int kInput, int kWeight>
[[gnu::always_inline]] inline void multiply_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kInput), "i"(kWeight));
}
// 64 inner elements: inputs signed, weights unsigned.
template <int kSum, int kInput, int kWeight>
[[gnu::always_inline]] inline void multiply_int8() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kInput), "i"(kWeight));
}

}  // namespace
}  // namespace tensormill
