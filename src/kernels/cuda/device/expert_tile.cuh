#pragma once

#include <cstdint>

namespace tensormill {

// Some of the rows of one expert: places [first, first + rows).
struct ExpertTile {
  int32_t expert, first, rows;  // rows 0: there is no such tile
};

// The tile of that index where every expert's places are cut into runs of `length`. All threads of
// the block call it; `begin` is that of Routes.
template <int32_t threads>
__device__ ExpertTile find_tile(const int32_t* begin, int32_t experts, int32_t length,
                                int32_t index) {
  __shared__ int32_t warp_tiles[threads / 32];
  __shared__ ExpertTile found;
  const int32_t thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const int32_t share = (experts + threads - 1) / threads;
  const int32_t from = min(thread * share, experts), to = min(from + share, experts);
  if (thread == 0) found = {0, 0, 0};
  int32_t tiles = 0;
  for (int32_t e = from; e < to; ++e) tiles += (begin[e + 1] - begin[e] + length - 1) / length;
  int32_t up_to = tiles;
  for (int32_t step = 1; step < 32; step *= 2) {
    const int32_t other = __shfl_up_sync(~0u, up_to, step);
    if (lane >= step) up_to += other;
  }
  if (lane == 31) warp_tiles[warp] = up_to;
  __syncthreads();
  for (int32_t w = 0; w < warp; ++w) up_to += warp_tiles[w];
  if (index >= up_to - tiles && index < up_to) {
    int32_t left = index - (up_to - tiles);
    for (int32_t e = from; e < to; ++e) {
      const int32_t own = (begin[e + 1] - begin[e] + length - 1) / length;
      if (left < own) {
        const int32_t first = begin[e] + left * length;
        found = {e, first, min(length, begin[e + 1] - first)};
        break;
      }
      left -= own;
    }
  }
  __syncthreads();
  return found;
}

// How many tiles there may be at most.
inline int32_t most_tiles(int32_t places, int32_t experts, int32_t length) {
  return places / length + (places < experts ? places : experts);
}

}  // namespace tensormill
