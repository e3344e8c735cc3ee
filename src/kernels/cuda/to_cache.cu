// Takes a packed query, key and value product apart. A warp works on one head of one row; heads
// that are all in pieces of 16 bytes go to to_cache_pieces.cu.

#include <cuda_pipeline_primitives.h>

#include "kernels/cuda/device/rows.cuh"
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

template <int kCount>
__device__ __forceinline__ Piece<kCount> clipped(const ToCacheArgs& args, Piece<kCount> piece) {
  if (args.clip > 0) {
    for (float& x : piece.x) x = fminf(fmaxf(x, -args.clip), args.clip);
  }
  return piece;
}

// Copies to shared memory without waiting for it; the group's threads take i = first, first + step,
// ... below count.
template <int kCount>
__device__ __forceinline__ void fetch(float* to, const float* from, int count, int first,
                                      int step) {
  for (int i = first; i < count; i += step) {
    __pipeline_memcpy_async(to + i, from + i, kCount * sizeof(float));
  }
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

// What a norm subtracts from and multiplies onto its values.
struct Moments {
  float mean, inverse;
};

// get(i): kCount values from i; the group's threads take i = first, first + step, ... below width.
// sum(x): the sum over the group.
template <int kCount, class Get, class Sum>
__device__ __forceinline__ Moments moments(const Norm& norm, int width, int first, int step,
                                           Get&& get, Sum&& sum) {
  float mean = 0;
  if (norm.kind == NormKind::kLayer) {
    float own = 0;
    for (int i = first; i < width; i += step) {
      for (const float x : get(i).x) own += x;
    }
    mean = sum(own, 0) / static_cast<float>(width);
  }
  float own = 0;
  for (int i = first; i < width; i += step) {
    for (const float x : get(i).x) own += (x - mean) * (x - mean);
  }
  return {mean, rsqrtf(sum(own, 1) / static_cast<float>(width) + norm.eps)};
}

// Elements i .. i + kCount of a head after its rope. angles: the row's.
template <int kCount>
__device__ __forceinline__ Piece<kCount> turned(const ToCacheArgs& args, const float* angles,
                                                const float* head, int i) {
  Piece<kCount> x = load_piece<kCount>(head + i);
  if (args.cos_sin == nullptr || i >= args.rope_dim * args.rope_axes) return x;
  const int axis = i / args.rope_dim, at = i - axis * args.rope_dim, half = args.rope_dim / 2;
  const float* cosine = angles + axis * args.rope_dim;
  if (args.neighbours) {
    for (int j = 0; j < kCount; ++j) {
      const int angle = (at + j) / 2;
      const bool first = (at + j) % 2 == 0;
      const float other = head[first ? i + j + 1 : i + j - 1];
      x.x[j] = x.x[j] * cosine[angle] + (first ? -other : other) * cosine[half + angle];
    }
    return x;
  }
  const bool first = at < half;
  const int angle = first ? at : at - half;
  const Piece<kCount> other = load_piece<kCount>(head + (first ? i + half : i - half));
  const Piece<kCount> c = load_piece<kCount>(cosine + angle);
  const Piece<kCount> s = load_piece<kCount>(cosine + half + angle);
  for (int j = 0; j < kCount; ++j) {
    x.x[j] = x.x[j] * c.x[j] + (first ? -other.x[j] : other.x[j]) * s.x[j];
  }
  return x;
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

// Clips and norms a head in shared memory. weight: of the norm, [part.dim].
template <int kCount>
__device__ __forceinline__ void norm_head(const ToCacheArgs& args, const Part& part,
                                          const float* weight, const float* shift,
                                          const Moments& of_all, float* head) {
  const int first = threadIdx.x % 32 * kCount, step = 32 * kCount;
  const auto get = [&](int i) { return clipped(args, load_piece<kCount>(head + i)); };
  if (part.norm.kind == NormKind::kNone) {
    for (int i = first; i < part.dim && args.clip > 0; i += step) store_piece(head + i, get(i));
    return;
  }
  const Moments moment = args.norm_span == HeadNorm::kAllHeads
                             ? of_all
                             : moments<kCount>(part.norm, part.dim, first, step, get,
                                               [](float x, int) { return warp_sum(x); });
  for (int i = first; i < part.dim; i += step) {
    Piece<kCount> x = get(i);
    const Piece<kCount> scale = load_piece<kCount>(weight + i);
    for (int j = 0; j < kCount; ++j) {
      x.x[j] = (x.x[j] - moment.mean) * moment.inverse * scale.x[j];
      if (shift != nullptr) x.x[j] += shift[i + j];
    }
    store_piece(head + i, x);
  }
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
  norm_head<kCount>(args, part, weight, shift, moment, own);
  __syncwarp();
  for (int i = first; i < part.dim; i += 32 * kCount) {
    Piece<kCount> x =
        which == 2 ? load_piece<kCount>(own + i) : turned<kCount>(args, angles, own, i);
    for (float& value : x.x) value *= goal.scale;
    store_piece_as(goal.to, goal.type, goal.at + i, x);
  }
}

bool in_fours(const ToCacheArgs& args) {
  const KvView& kv = args.kv;
  bool fours = args.dim % 4 == 0 && args.value_dim % 4 == 0 && args.qkv.stride % 4 == 0 &&
               args.q.stride % 4 == 0 && kv.k_stride.block % 4 == 0 && kv.k_stride.head % 4 == 0 &&
               kv.v_stride.block % 4 == 0 && kv.v_stride.head % 4 == 0 && aligned(args.qkv.x, 16) &&
               aligned(args.q.x, 16) && aligned(kv.k, 16) && aligned(kv.v, 16);
  if (args.cos_sin != nullptr) fours = fours && args.rope_dim % 8 == 0 && aligned(args.cos_sin, 16);
  for (const Norm& norm : {args.q_norm, args.k_norm}) {
    if (norm.kind != NormKind::kNone) fours = fours && aligned(norm.weight, 16);
  }
  return fours;
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
