// Weights into panels of kPanel outputs, through f32 pieces of [kPanel][depth] on the stack.

#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kDepth = 64;

// Source rows of a panel's rows, or -1.
struct PanelRows {
  int32_t at[kPanel];

  PanelRows(const PackSource& source, int panel) {
    for (int r = 0; r < kPanel; ++r) {
      const int taken = panel * kPanel + r - source.first_row;
      const bool inside = taken >= 0 && taken < source.rows;
      at[r] = !inside ? -1 : source.row_map == nullptr ? taken : source.row_map[taken];
    }
  }
};

// piece[r][k] = source row rows[r], element begin + k; rows[r] < 0 is skipped.
template <int kStride, class From>
void read_piece(const PackSource& source, const int32_t* rows, int begin, int depth, float* piece) {
  const auto* data = static_cast<const From*>(source.data);
  for (int r = 0; r < kPanel; ++r) {
    if (rows[r] < 0) continue;
    float* to = piece + r * kStride;
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
    const PanelRows panel_rows(source, panel);
    const int32_t* rows = panel_rows.at;
    To* to = static_cast<To*>(args.packed) + panel * depth * kPanel;
    for (int begin = 0; begin < args.inner; begin += kDepth) {
      const int count = args.inner - begin < kDepth ? args.inner - begin : kDepth;
      read_piece<kDepth, From>(source, rows, begin, count, piece);
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

// A group's scale, rounded up to bf16 so that no weight is beyond 127 of it.
float int8_scale(float largest) {
  if (largest < kLeastMagnitude) return 0;
  const auto bits = bits_as<uint32_t>(largest / 127.0f);
  return bits_as<float>((bits + 0xffffu) & 0xffff0000u);
}

// Writes one row's group: its scale, then its values in fours.
void write_group(const float* x, int depth, int row, uint8_t* piece) {
  F most = zero(), invalid = zero();
  for_vectors(depth, [&](int i, int n) {
    const F value = load_some(x + i, n);
    most = max(most, absolute(value));
    invalid = fma(value, zero(), invalid);
  });
  const float scale = int8_scale(reduce_max(most)), nan = reduce_add(invalid);
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  store_n(reinterpret_cast<Bf16*>(piece) + row, set1(scale + nan), 1);
  uint8_t* to = piece + kInt8Scales + 4 * row;
  alignas(64) int8_t q[kInt8Group] = {};
  for (int i = 0; i < depth; i += kLanes) {
    const int left = depth - i, n = left < kLanes ? left : kLanes;
    store_int8(q + i, round_to_integer(load_some(x + i, n) * set1(inverse)));
  }
  for (int k = 0; k < (depth + 3) / 4 * 4; ++k) {
    to[k / 4 * (4 * kPanel) + k % 4] = static_cast<uint8_t>(q[k] + 128);
  }
}

template <class From>
void pack_int8(const PackArgs& args, int panel_begin, int panel_end) {
  alignas(64) float x[kPanel * kInt8Group];
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    const PanelRows rows(args.source, panel);
    uint8_t* piece = static_cast<uint8_t*>(args.packed) + panel * int8_panel_bytes(args.inner);
    for (int begin = 0; begin < args.inner; begin += kInt8Group, piece += kInt8Piece) {
      const int left = args.inner - begin, depth = left < kInt8Group ? left : kInt8Group;
      read_piece<kInt8Group, From>(args.source, rows.at, begin, depth, x);
      for (int r = 0; r < kPanel; ++r) {
        if (rows.at[r] >= 0) write_group(x + r * kInt8Group, depth, r, piece);
      }
      const bool last = args.source.first_row + args.source.rows == args.outputs;
      for (int r = last ? args.outputs - panel * kPanel : kPanel; r < kPanel; ++r) {
        reinterpret_cast<Bf16*>(piece)[r] = {};
        for (int k = 0; k < depth; k += 4) {
          __builtin_memset(piece + kInt8Scales + k * kPanel + 4 * r, 0, 4);
        }
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
      case WeightFormat::kInt8:
        return pack_int8<From>(args, panel_begin, panel_end);
    }
  });
}

}  // namespace tensormill
