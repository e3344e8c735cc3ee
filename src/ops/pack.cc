#include "ops/pack.h"

#include "ops/check.h"

namespace tensormill {

void pack(const KernelTable& kernels, const PackArgs& args, Stream stream) {
  constexpr const char* kOp = "pack";
  const PackSource& source = args.source;
  require(source.data != nullptr && args.packed != nullptr, kOp, "a source and a packed weight");
  require(is_float(source.type), kOp, "a source of f32, bf16 or f16");
  require(args.outputs > 0 && args.inner > 0 && source.inner == args.inner, kOp,
          "the same inner dimension in source and packed weight");
  require(source.first_row >= 0 && source.rows >= 0 &&
              int64_t{source.first_row} + source.rows <= args.outputs,
          kOp, "rows inside the packed weight");
  if (source.row_map == nullptr) {
    require(source.rows <= source.outputs, kOp, "rows inside the source");
  } else {
    for (int32_t r = 0; r < source.rows; ++r) {
      require(source.row_map[r] < source.outputs, kOp, "row_map entries inside the source");
    }
  }
  require(kernels.stores(args.format), kOp, "a weight format that this device stores");
  kernels.pack(args, stream);
}

}  // namespace tensormill
