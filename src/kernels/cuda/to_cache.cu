// Takes a packed query, key and value product apart. A warp works on one head of one row; heads
// that are all in pieces of 16 bytes go to to_cache_pieces.cu.

#include "kernels/cuda/device/take_head.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kHeads = 4;  // of a block
constexpr int kThreads = 32 * kHeads;

// Which heads a block takes: of the queries, keys or values of a row. They begin at `from` of
// args.qkv.
struct Part {
  int64_t from;
  int heads, dim;
  Norm norm;
};

__device__ __forceinline__ Part part_of(const ToCacheArgs& args, int64_t row, int which) {
  int64_t from = row * args.qkv.stride;
  if (which == 0) return {from, args.heads, args.dim, args.q_norm};
  from += static_cast<int64_t>(args.heads) * args.dim;
  if (which == 1) return {from, args.kv_heads, args.dim, args.k_norm};
  from += static_cast<int64_t>(args.kv_heads) * args.dim;
  return {from, args.kv_heads, args.value_dim, Norm{}};
}

// Values of args.qkv from `from` on, likewise; those of f32 without waiting for them.
template <int kCount>
__device__ __forceinline__ void fetch_product(float* to, const ToCacheArgs& args, int64_t from,
                                              int count, int first, int step) {
  if (args.qkv.type == DType::kF32) {
    fetch<kCount>(to, static_cast<const float*>(args.qkv.x) + from, count, first, step);
    return;
  }
  for (int i = first; i < count; i += step) {
    store_piece(to + i, load_piece_as<kCount>(args.qkv.x, args.qkv.type, from + i));
  }
}

// What the queries of a slot are multiplied by.
__device__ __forceinline__ float query_scale(const ToCacheArgs& args, int32_t slot) {
  if (args.log_n == 0 || slot < args.log_n) return 1;
  return static_cast<float>(log(slot + 1.0) / log(static_cast<double>(args.log_n)));
}

// Where a head goes: place `at` of `to`.
struct Goal {
  void* to;
  DType type;
  int64_t at;
  float scale;
};

__device__ __forceinline__ Goal goal_of(const ToCacheArgs& args, int64_t row, int which, int head) {
  const int32_t slot = args.slots[row];
  if (which == 0) {
    const int64_t at = row * args.q.stride + static_cast<int64_t>(head) * args.dim;
    return {args.q.x, args.q.type, at, query_scale(args, slot)};
  }
  const KvView& kv = args.kv;
  const int64_t table = static_cast<int64_t>(args.row_sequence[row]) * kv.table_stride;
  const int64_t block = kv.table[table + slot / kBlockTokens];
  const KvStrides stride = which == 1 ? kv.k_stride : kv.v_stride;
  const int64_t dim = which == 1 ? args.dim : args.value_dim;
  const int64_t at = block * stride.block + head * stride.head + slot % kBlockTokens * dim;
  return {which == 1 ? kv.k : kv.v, kv.type, at, 1};
}

// The grid: rows, then blocks of queries, of keys and of values. room: values for a head in shared
// memory. Everything is fetched at once; rows that aren't live are computed in vain.
template <int kCount>
__global__ void __launch_bounds__(kThreads) take_apart(const __grid_constant__ ToCacheArgs args,
                                                       int query_blocks, int key_blocks, int room) {
  release_next();
  extern __shared__ float4 memory[];
  __shared__ float sums[2][32];
  const int64_t row = blockIdx.x;
  int index = blockIdx.y;
  const int which = index < query_blocks ? 0 : index < query_blocks + key_blocks ? 1 : 2;
  if (which > 0) index -= query_blocks + (which == 2 ? key_blocks : 0);
  const Part part = part_of(args, row, which);
  const int warp = threadIdx.x / 32, first = threadIdx.x % 32 * kCount;
  const int head = index * kHeads + warp;
  const bool inside = head < part.heads;
  const int64_t begin = static_cast<int64_t>(head) * part.dim;
  float* own = reinterpret_cast<float*>(memory) + warp * room;
  float* weight = own + kHeads * room;
  float* angles = reinterpret_cast<float*>(memory) + 2 * kHeads * room;

  const int64_t at = args.norm_span == HeadNorm::kHead ? 0 : begin;
  if (inside && part.norm.kind != NormKind::kNone) {
    fetch<kCount>(weight, part.norm.weight + at, part.dim, first, 32 * kCount);
  }
  wait_for_previous();
  if (which < 2 && args.cos_sin != nullptr) {
    const int turning = args.rope_axes * args.rope_dim;
    fetch<kCount>(angles, args.cos_sin + row * turning, turning, threadIdx.x * kCount,
                  kThreads * kCount);
  }
  if (inside) fetch_product<kCount>(own, args, part.from + begin, part.dim, first, 32 * kCount);
  __pipeline_commit();
  const bool live = row < *args.live.count;
  Moments moment{0, 1};
  if (part.norm.kind != NormKind::kNone && args.norm_span == HeadNorm::kAllHeads) {
    moment = moments<kCount>(
        part.norm, part.heads * part.dim, threadIdx.x * kCount, kThreads * kCount,
        [&](int i) {
          return clipped(args, load_piece_as<kCount>(args.qkv.x, args.qkv.type, part.from + i));
        },
        [&](float x, int which_sum) { return block_sum(x, sums[which_sum]); });
  }
  const Goal goal = live && inside ? goal_of(args, row, which, head) : Goal{};
  __pipeline_wait_prior(0);
  __syncthreads();
  if (!live || !inside) return;
  const float* shift = part.norm.shift == nullptr ? nullptr : part.norm.shift + at;
  norm_head<kCount>(args, part.norm, part.dim, weight, shift, moment, own);
  __syncwarp();
  for (int i = first; i < part.dim; i += 32 * kCount) {
    Piece<kCount> x =
        which == 2 ? load_piece<kCount>(own + i) : turned<kCount>(args, angles, own, i);
    for (float& value : x.x) value *= goal.scale;
    store_piece_as(goal.to, goal.type, goal.at + i, x);
  }
}

}  // namespace

void cuda_to_cache(const ToCacheArgs& args, CudaContext& context) {
  if (runs_pieces(args)) return cuda_to_cache_pieces(args, context);
  const int query_blocks = (args.heads + kHeads - 1) / kHeads;
  const int key_blocks = (args.kv_heads + kHeads - 1) / kHeads;
  const dim3 grid(args.live.bound, query_blocks + 2 * key_blocks);
  const int dim = args.dim > args.value_dim ? args.dim : args.value_dim;
  const int room = (dim + 3) / 4 * 4, turning = args.rope_axes * args.rope_dim;
  const int values = 2 * kHeads * room + (args.cos_sin == nullptr ? 0 : turning);
  launch(context, in_fours(args) ? take_apart<4> : take_apart<1>, grid, kThreads,
         static_cast<size_t>(values) * sizeof(float), args, query_blocks, key_blocks, room);
}

}  // namespace tensormill
