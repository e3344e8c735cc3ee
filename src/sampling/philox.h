#pragma once

#include <array>
#include <cstdint>

namespace tensormill {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"): a random function
// of (key, counter), so that a draw needs no state.
std::array<uint32_t, 4> philox(uint64_t key, std::array<uint32_t, 4> counter);

// The draw in [0, 1) that belongs to one step of one request.
double uniform_draw(uint64_t seed, uint64_t step);

}  // namespace tensormill
