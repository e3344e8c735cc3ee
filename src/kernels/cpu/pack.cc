// Weights into panels of kPanel outputs, through f32 pieces of [kPanel][depth] on the stack.

#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kDepth = 64;

// Source rows of a panel's rows, or -1, and which rows have one.
struct PanelRows {
  int32_t at[kPanel];
  int32_t present[kPanel];
  int32_t count = 0;
  bool neighbours = true;  // those rows follow each other in the source

  PanelRows(const PackSource& source, int panel) {
    for (int r = 0; r < kPanel; ++r) {
      const int taken = panel * kPanel + r - source.first_row;
      const bool inside = taken >= 0 && taken < source.rows;
      at[r] = !inside ? -1 : source.row_map == nullptr ? taken : source.row_map[taken];
      if (at[r] < 0) continue;
      neighbours = neighbours && at[r] == at[count == 0 ? r : present[0]] + count;
      present[count++] = r;
    }
  }
};

// Rounds only where the types differ.
template <class From, class To>
[[gnu::always_inline]] inline void copy_values(const From* from, int count, To* to) {
  for_vectors(count, [&](int i, int n) { store_some(to + i, load_some(from + i, n), n); });
}
template <class T>
[[gnu::always_inline]] inline void copy_values(const T* from, int count, T* to) {
  __builtin_memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
}

// What the next piece of a row begins with: the rows of a panel are more streams than a core
// follows by itself.
template <class T>
[[gnu::always_inline]] inline void fetch_next(const T* next, int values) {
  constexpr int kLine = 64 / sizeof(T);
  for (int i = 0; i < values; i += kLine) __builtin_prefetch(next + i);
}

// piece[r][k] = source row rows.at[r], element begin + k; rows without one are skipped.
template <int kStride, class From, class To>
void read_piece(const PackSource& source, const PanelRows& rows, int begin, int depth, To* piece) {
  const auto* data = static_cast<const From*>(source.data);
  if (!source.transposed) {
    for (int i = 0; i < rows.count; ++i) {
      const int r = rows.present[i];
      const From* from = data + static_cast<int64_t>(rows.at[r]) * source.inner + begin;
      fetch_next(from + depth, kStride);
      copy_values(from, depth, piece + r * kStride);
    }
    return;
  }
  To some[kPanel];
  const int32_t step = rows.neighbours ? rows.count : 1;
  for (int k = 0; k < depth; ++k) {
    const From* from = data + static_cast<int64_t>(begin + k) * source.outputs;
    for (int i = 0; i < rows.count; i += step) {
      copy_values(from + rows.at[rows.present[i]], step, some + i);
    }
    for (int i = 0; i < rows.count; ++i) piece[rows.present[i] * kStride + k] = some[i];
  }
}

// Word w of row r of `from` goes to word w * kPanel + r: a word is a step's inner elements of one
// row. Rows without a source are left as they are.
template <class Word, int kStride, class T>
void transpose(const PanelRows& rows, const T* from, int words, void* to) {
  const auto move = [&](int w, int r) {
    auto* place = static_cast<char*>(to) + (int64_t{w} * kPanel + r) * sizeof(Word);
    __builtin_memcpy(place, reinterpret_cast<const char*>(from + r * kStride) + w * sizeof(Word),
                     sizeof(Word));
  };
  for (int w = 0; w < words; ++w) {
    if (rows.count == kPanel) {
      for (int r = 0; r < kPanel; ++r) move(w, r);
    } else {
      for (int i = 0; i < rows.count; ++i) move(w, rows.present[i]);
    }
  }
}

template <class From, class To, class Word>
void pack_panels(const PackArgs& args, int panel_begin, int panel_end) {
  constexpr int kPair = sizeof(Word) / sizeof(To);
  const PackSource& source = args.source;
  alignas(64) To piece[kPanel * kDepth] = {};
  const int steps = (args.inner + kPair - 1) / kPair;
  const bool last = source.first_row + source.rows == args.outputs;
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    const PanelRows rows(source, panel);
    auto* to = static_cast<char*>(args.packed) + int64_t{panel} * steps * kPanel * sizeof(Word);
    for (int begin = 0; begin < args.inner; begin += kDepth) {
      const int count = args.inner - begin < kDepth ? args.inner - begin : kDepth;
      read_piece<kDepth, From>(source, rows, begin, count, piece);
      for (int r = 0; count % kPair != 0 && r < kPanel; ++r) piece[r * kDepth + count] = To{};
      transpose<Word, kDepth>(rows, piece, (count + kPair - 1) / kPair,
                              to + int64_t{begin} / kPair * kPanel * sizeof(Word));
    }
    const int used = last ? args.outputs - panel * kPanel : kPanel;
    for (int s = 0; s < steps && used < kPanel; ++s) {
      __builtin_memset(to + (int64_t{s} * kPanel + used) * sizeof(Word), 0,
                       static_cast<size_t>(kPanel - used) * sizeof(Word));
    }
  }
}

// A group's scale, rounded up to bf16 so that no weight is beyond 127 of it.
float int8_scale(float largest) {
  if (largest < kLeastMagnitude) return 0;
  const auto bits = bits_as<uint32_t>(largest / 127.0f);
  return bits_as<float>((bits + 0xffffu) & 0xffff0000u);
}

// One row's group: its scale, and its values, offset by 128.
void quantize_group(const float* x, int depth, Bf16* scale_to, uint8_t* to) {
  F most = zero(), invalid = zero();
  for_vectors(depth, [&](int i, int n) {
    const F value = load_some(x + i, n);
    most = max(most, absolute(value));
    invalid = fma(value, zero(), invalid);
  });
  const float scale = int8_scale(reduce_max(most)), nan = reduce_add(invalid);
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  store_n(scale_to, set1(scale + nan), 1);
  alignas(64) int8_t q[kInt8Group] = {};
  for (int i = 0; i < depth; i += kLanes) {
    const int left = depth - i, n = left < kLanes ? left : kLanes;
    store_int8(q + i, round_to_integer(load_some(x + i, n) * set1(inverse)));
  }
  for (int k = 0; k < kInt8Group; ++k) to[k] = static_cast<uint8_t>(q[k] + 128);
}

template <class From>
void pack_int8(const PackArgs& args, int panel_begin, int panel_end) {
  alignas(64) float x[kPanel * kInt8Group];
  alignas(64) uint8_t q[kPanel * kInt8Group];
  const bool last = args.source.first_row + args.source.rows == args.outputs;
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    const PanelRows rows(args.source, panel);
    uint8_t* piece = static_cast<uint8_t*>(args.packed) + panel * int8_panel_bytes(args.inner);
    for (int begin = 0; begin < args.inner; begin += kInt8Group, piece += kInt8Piece) {
      const int left = args.inner - begin, depth = left < kInt8Group ? left : kInt8Group;
      read_piece<kInt8Group, From>(args.source, rows, begin, depth, x);
      for (int i = 0; i < rows.count; ++i) {
        const int r = rows.present[i];
        quantize_group(x + r * kInt8Group, depth, reinterpret_cast<Bf16*>(piece) + r,
                       q + r * kInt8Group);
      }
      transpose<uint32_t, kInt8Group>(rows, q, (depth + 3) / 4, piece + kInt8Scales);
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
        return pack_panels<From, float, uint32_t>(args, panel_begin, panel_end);
      case WeightFormat::kF16:
        return pack_panels<From, F16, uint16_t>(args, panel_begin, panel_end);
      case WeightFormat::kBF16:
        return pack_panels<From, Bf16, uint32_t>(args, panel_begin, panel_end);
      case WeightFormat::kInt8:
        return pack_int8<From>(args, panel_begin, panel_end);
    }
  });
}

}  // namespace tensormill
