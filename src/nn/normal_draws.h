#pragma once

#include <cstdint>
#include <vector>

namespace tensormill {

// Normal values, mean 0 and deviation 1, as torch.randn gives them on a CPU in float32 after
// torch.manual_seed(seed): the same draws in the same order, up to the last bits of a logarithm.
std::vector<float> normal_draws(uint32_t seed, int64_t count);

}  // namespace tensormill
