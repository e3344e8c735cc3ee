// Token and position embeddings into the f32 residual stream.

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kThreads = 128;

template <int kCount>
__global__ void __launch_bounds__(kThreads) embed_rows(const __grid_constant__ EmbedArgs args) {
  release_next();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  if (row >= *args.live.count) return;
  int32_t token = args.tokens[row];
  if (token < 0) token = args.history[~token * args.history_stride + args.slots[row]];
  int64_t places[2] = {};
  for (int axis = 0; axis < 2; ++axis) {
    if (args.position_table[axis] == nullptr) continue;
    const int64_t position = args.positions[axis][row] + args.position_offset;
    places[axis] = position * args.width;
  }
  const int64_t place = static_cast<int64_t>(token) * args.width;
  const int step = gridDim.y * kThreads * kCount;
  for (int i = (blockIdx.y * kThreads + threadIdx.x) * kCount; i < args.width; i += step) {
    Piece<kCount> x = load_piece_as<kCount>(args.table, args.type, place + i);
    for (float& value : x.x) value *= args.scale;
    for (int axis = 0; axis < 2; ++axis) {
      if (args.position_table[axis] == nullptr) continue;
      const Piece<kCount> add =
          load_piece_as<kCount>(args.position_table[axis], args.type, places[axis] + i);
      for (int j = 0; j < kCount; ++j) x.x[j] += add.x[j];
    }
    store_piece(args.residual + row * args.width + i, x);
  }
}

bool in_fours(const EmbedArgs& args) {
  bool fours = args.width % 4 == 0 && aligned(args.table, 16) && aligned(args.residual, 16);
  for (const void* table : args.position_table) fours = fours && aligned(table, 16);
  return fours;
}

}  // namespace

void cuda_embed(const EmbedArgs& args, CudaContext& context) {
  const bool fours = in_fours(args);
  const int pieces = fours ? args.width / 4 : args.width;
  const dim3 grid(args.live.bound, (pieces + kThreads - 1) / kThreads);
  launch(context, fours ? embed_rows<4> : embed_rows<1>, grid, kThreads, 0, args);
}

}  // namespace tensormill
