#include "models/alibi.h"

#include <bit>
#include <cmath>

namespace tensormill {

std::vector<float> alibi_slopes(int32_t heads, double largest) {
  const auto below = static_cast<int32_t>(std::bit_floor(static_cast<uint32_t>(heads)));
  std::vector<float> slopes;
  for (int32_t h = 0; h < heads; ++h) {
    const double power = h < below ? h + 1 : h - below + 0.5;
    slopes.push_back(static_cast<float>(std::exp2(-largest * power / below)));
  }
  return slopes;
}

}  // namespace tensormill
