// Token and position embeddings into the f32 residual stream.

#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {

void LEVEL(embed)(const EmbedArgs& args, int32_t row_begin, int32_t row_end) {
  with_type(args.type, [&](auto* type) {
    using Element = Pointee<decltype(type)>;
    const auto* table = static_cast<const Element*>(args.table);
    const F scale = set1(args.scale);
    for (int64_t row = row_begin; row < row_end; ++row) {
      int64_t id = args.tokens[row];
      if (id < 0) id = args.history[~id * args.history_stride + args.slots[row]];
      const Element* token = table + id * args.width;
      float* to = args.residual + row * args.width;
      for_vectors(args.width,
                  [&](int i, int n) { store_some(to + i, scale * load_some(token + i, n), n); });
      for (int axis = 0; axis < 2; ++axis) {
        if (args.position_table[axis] == nullptr) continue;
        const int64_t at = static_cast<int64_t>(args.positions[axis][row]) + args.position_offset;
        const auto* position =
            static_cast<const Element*>(args.position_table[axis]) + at * args.width;
        for_vectors(args.width, [&](int i, int n) {
          store_some(to + i, load_some(to + i, n) + load_some(position + i, n), n);
        });
      }
    }
  });
}

}  // namespace tensormill
