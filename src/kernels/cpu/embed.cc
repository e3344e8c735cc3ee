// Token and position embeddings into the f32 residual stream.

#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {

void LEVEL(embed)(const EmbedArgs& args, int32_t row_begin, int32_t row_end) {
  with_type(args.type, [&](auto* type) {
    using Element = Pointee<decltype(type)>;
    const auto* table = static_cast<const Element*>(args.table);
    const auto* position_table = static_cast<const Element*>(args.position_table);
    const F scale = set1(args.scale);
    for (int64_t row = row_begin; row < row_end; ++row) {
      const Element* token = table + static_cast<int64_t>(args.tokens[row]) * args.width;
      float* to = args.residual + row * args.width;
      if (position_table == nullptr) {
        for_vectors(args.width,
                    [&](int i, int n) { store_some(to + i, scale * load_some(token + i, n), n); });
        continue;
      }
      const int64_t slot = static_cast<int64_t>(args.positions[row]) + args.position_offset;
      const Element* position = position_table + slot * args.width;
      for_vectors(args.width, [&](int i, int n) {
        store_some(to + i, scale * load_some(token + i, n) + load_some(position + i, n), n);
      });
    }
  });
}

}  // namespace tensormill
