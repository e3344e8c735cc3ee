// Weights into panels of kPanel outputs, through f32 pieces of [kPanel][kDepth] on the stack.

#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kDepth = 64;

// piece[r][k] = source row rows[r], element begin + k; rows[r] < 0 is skipped.
template <class From>
void read_piece(const PackSource& source, const int32_t* rows, int begin, int depth, float* piece) {
  const auto* data = static_cast<const From*>(source.data);
  for (int r = 0; r < kPanel; ++r) {
    if (rows[r] < 0) continue;
    float* to = piece + r * kDepth;
    if (!source.transposed) {
      const From* from = data + static_cast<int64_t>(rows[r]) * source.inner + begin;
      for_vectors(depth, [&](int i, int n) { store_some(to + i, load_some(from + i, n), n); });
      continue;
    }
    for (int k = 0; k < depth; ++k) {
      float some[kLanes];
      store(some, load_n(data + static_cast<int64_t>(begin + k) * source.outputs + rows[r], 1));
      to[k] = some[0];
    }
  }
}

// Writes the piece at `begin` of the inner dimension; a step holds `pair` inner elements.
template <class To>
void write_piece(const int32_t* rows, int begin, int depth, int pair, const float* piece,
                 To* panel) {
  for (int r = 0; r < kPanel; ++r) {
    if (rows[r] < 0) continue;
    To some[kDepth];
    for_vectors(depth, [&](int i, int n) {
      store_some(some + i, load_some(piece + r * kDepth + i, n), n);
    });
    for (int k = 0; k < depth; ++k) {
      const int64_t at = begin + k;
      panel[(at / pair * kPanel + r) * pair + at % pair] = some[k];
    }
  }
}

template <class From, class To>
void pack_panels(const PackArgs& args, int pair, int panel_begin, int panel_end) {
  const PackSource& source = args.source;
  alignas(64) float piece[kPanel * kDepth];
  const int64_t depth = (args.inner + pair - 1) / pair * pair;
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    int32_t rows[kPanel];
    To* to = static_cast<To*>(args.packed) + panel * depth * kPanel;
    for (int r = 0; r < kPanel; ++r) {
      const int taken = panel * kPanel + r - source.first_row;
      const bool inside = taken >= 0 && taken < source.rows;
      rows[r] = !inside ? -1 : source.row_map == nullptr ? taken : source.row_map[taken];
    }
    for (int begin = 0; begin < args.inner; begin += kDepth) {
      const int count = args.inner - begin < kDepth ? args.inner - begin : kDepth;
      read_piece<From>(source, rows, begin, count, piece);
      write_piece<To>(rows, begin, count, pair, piece, to);
    }
    const bool last = source.first_row + source.rows == args.outputs;
    for (int r = 0; r < kPanel; ++r) {
      const bool padding = last && panel * kPanel + r >= args.outputs;
      for (int64_t k = padding ? 0 : args.inner; k < depth; ++k) {
        if (padding || rows[r] >= 0) to[(k / pair * kPanel + r) * pair + k % pair] = To{};
      }
    }
  }
}

}  // namespace

void LEVEL(pack)(const PackArgs& args, int32_t panel_begin, int32_t panel_end) {
  with_type(args.source.type, [&](auto* type) {
    using From = Pointee<decltype(type)>;
    switch (args.format) {
      case WeightFormat::kF32:
        return pack_panels<From, float>(args, 1, panel_begin, panel_end);
      case WeightFormat::kF16:
        return pack_panels<From, F16>(args, 1, panel_begin, panel_end);
      case WeightFormat::kBF16:
        return pack_panels<From, Bf16>(args, 2, panel_begin, panel_end);
    }
  });
}

}  // namespace tensormill
