#include <algorithm>

#include "kernels/cuda/device/some_mma.cuh"
#include "kernels/cuda/device/some_wgmma.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/tensor_map.h"

// Up to kSomeRows rows: a product bound by reading its weights. The weights are the left operand of
// the tensor cores, so that all rows are one tile and every weight is read once.

namespace tensormill {
namespace {

// A block's units at least: cutting a tile costs about as much as so many.
constexpr int32_t kLeastUnits = 12;

struct Cut {
  int32_t tiles, chunks, blocks;
};

Cut cut(const Packed& weight, const CudaContext& context) {
  Cut cut;
  cut.tiles = (weight.outputs + kSomeTile - 1) / kSomeTile;
  cut.chunks = (weight.inner + kSomeChunk - 1) / kSomeChunk;
  cut.blocks = std::clamp(cut.tiles * cut.chunks / kLeastUnits, 1, context.multiprocessors);
  return cut;
}

size_t sums_bytes(const Cut& cut) {
  return size_t{2} * cut.blocks * kSomeTile * kSomeRows * sizeof(float);
}

template <class T, int kRows>
void launch_some(const LinearArgs& args, const SomeProduct& product, int32_t blocks,
                 const CudaContext& context) {
  const Packed& weight = *args.weight;
  if (context.major == 9) {
    constexpr auto kernel = some_wgmma_kernel<T, kRows>;
    allow_shared_once<kernel>(context, SomeRings<kRows>::kShared);
    const SomeMaps maps = {
        tensor_map({weight.data, args.in.type, weight.outputs, weight.inner, weight.inner},
                   {kSomeTile, kSomeChunk}),
        tensor_map({args.in.x, args.in.type, args.live.bound, weight.inner, args.in.stride},
                   {kRows, kSomeChunk})};
    launch(context, kernel, blocks, kSomeThreads + 64, SomeRings<kRows>::kShared, maps, product);
    return;
  }
  constexpr int kMmaRows = kRows <= 32 ? 32 : kRows <= 64 ? 64 : 128;  // fewer kernels
  constexpr auto kernel = some_mma_kernel<T, kMmaRows>;
  allow_shared_once<kernel>(context, SomeStages<kMmaRows>::kShared);
  launch(context, kernel, blocks, kSomeThreads, SomeStages<kMmaRows>::kShared, weight.data, args.in,
         product);
}

template <class T>
void launch_type(const LinearArgs& args, const SomeProduct& product, int32_t blocks,
                 const CudaContext& context) {
  const int32_t rows = args.live.bound;
  if (rows <= 16) return launch_some<T, 16>(args, product, blocks, context);
  if (rows <= 32) return launch_some<T, 32>(args, product, blocks, context);
  if (rows <= 64) return launch_some<T, 64>(args, product, blocks, context);
  if (rows <= 96) return launch_some<T, 96>(args, product, blocks, context);
  launch_some<T, 128>(args, product, blocks, context);
}

}  // namespace

bool runs_some(const LinearArgs& args, const CudaContext& context) {
  const Packed& weight = *args.weight;
  const DType type = weight.format == WeightFormat::kF16 ? DType::kF16 : DType::kBF16;
  if (context.major < 8 || weight.format == WeightFormat::kF32 || args.in.type != type)
    return false;
  if (args.live.bound > kSomeRows || args.copies > 1) return false;
  if (weight.inner % 8 != 0 || args.in.stride % 8 != 0) return false;
  if (!whole(weight.data) || !whole(args.in.x)) return false;
  const Cut parts = cut(weight, context);
  return parts.tiles <= context.counter_count && sums_bytes(parts) <= context.workspace_bytes;
}

void cuda_linear_some(const LinearArgs& args, CudaContext& context) {
  const Packed& weight = *args.weight;
  const Cut parts = cut(weight, context);
  SomeProduct product{};
  product.outputs = weight.outputs;
  product.inner = weight.inner;
  product.chunks = parts.chunks;
  product.units = parts.tiles * parts.chunks;
  product.bias = args.bias;
  product.end = end_of(args);
  product.live = args.live;
  product.sums = static_cast<float4*>(context.workspace);
  product.arrived = context.counters;
  if (weight.format == WeightFormat::kF16) {
    launch_type<__half>(args, product, parts.blocks, context);
  } else {
    launch_type<__nv_bfloat16>(args, product, parts.blocks, context);
  }
}

}  // namespace tensormill
