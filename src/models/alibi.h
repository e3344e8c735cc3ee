#pragma once

#include <cstdint>
#include <vector>

namespace tensormill {

// Slopes of ALiBi, one for each head: the powers of 2^(-largest/n) where n heads are a power of
// two. For other counts those of the power below, then every other one of the power above.
std::vector<float> alibi_slopes(int32_t heads, double largest = 8);

}  // namespace tensormill
