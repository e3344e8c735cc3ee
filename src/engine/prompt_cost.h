#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace tensormill {

// What computing a prompt's tokens costs, in tokens at a prompt's beginning: a later one attends to
// all keys before it.
struct PromptCost {
  double per_key = 0;  // of a token's cost

  double of(int32_t first, int32_t count) const {
    return count * (1 + per_key * (first + 0.5 * count));
  }
  // How many tokens from `first` on cost at most `work`, which may be infinite.
  int32_t fits(int32_t first, double work) const {
    constexpr auto kMost = std::numeric_limits<int32_t>::max();
    if (work >= kMost) return kMost;
    if (work <= 0) return 0;
    const double plain = 1 + per_key * first;
    return static_cast<int32_t>(2 * work / (plain + std::sqrt(plain * plain + 2 * per_key * work)));
  }
};

}  // namespace tensormill
