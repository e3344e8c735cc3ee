#pragma once

// How a range of outputs is cut for tiles: some panels at a time meet the same inputs.

#include "kernels/cpu/level.h"

namespace tensormill {
namespace {

constexpr int kMostPanels = 8;
constexpr int kChunkRows = 256;  // rows whose sums are held at once

[[gnu::always_inline]] inline int least(int a, int b) {
  return a < b ? a : b;
}

// Outputs of at most kMostPanels panels, the first and last of which may be parts.
struct Panels {
  int begin, end;            // panels
  int unit_begin, unit_end;  // units of kOutputUnit

  int first(int panel) const {
    const int output = unit_begin * kOutputUnit;
    return output > panel * kPanel ? output : panel * kPanel;
  }
  int columns(int panel) const {
    return least((panel + 1) * kPanel, unit_end * kOutputUnit) - first(panel);
  }
};

// f(row, rows, panels) for pieces that cover the rows and units.
template <class Function>
void for_chunks(int row_begin, int row_end, int unit_begin, int unit_end, Function&& f) {
  constexpr int kUnits = kPanel / kOutputUnit;
  const int first = unit_begin / kUnits, panels = (unit_end + kUnits - 1) / kUnits - first;
  const int groups = (panels + kMostPanels - 1) / kMostPanels;
  for (int g = 0; g < groups; ++g) {
    const Panels some = {first + panels * g / groups, first + panels * (g + 1) / groups, unit_begin,
                         unit_end};
    for (int row = row_begin; row < row_end; row += kChunkRows) {
      f(row, least(kChunkRows, row_end - row), some);
    }
  }
}

}  // namespace
}  // namespace tensormill
