// Attention of sequences with one query row. A block takes up to kHeads query heads of one kv head
// and a share of the keys; its warps walk tiles of kTile keys. Keys and values go from memory into
// the registers of tensor cores as they lie: the left factor is the tile, the right one the heads'
// queries or weights. That leaves the order of the inner dimension open, so that a lane's operands
// are 16 contiguous bytes. Loads run one or two chunks of a tile ahead.
//
// The shares of a sequence are fixed by its keys and the grid. A lone share writes the output;
// otherwise each writes a partial result and the last block to arrive merges them in order.

#include <algorithm>

#include "kernels/cuda/device/attention_score.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/tensor_core.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kHeads = 8;         // query heads of a block, the columns of a tensor core's product
constexpr int kTile = 16;         // keys of a tile, its rows
constexpr int kLeastTiles = 16;   // of a share, where there are several
constexpr int kMaxShares = 64;    // of a sequence
constexpr int kMaxBlocks = 1024;  // of a launch with several shares
constexpr unsigned kAllLanes = 0xffffffffu;

// Dimensions that a kernel is made for; smaller ones are filled up with zeros in registers.
template <class T, int kDim, int kValueDim>
struct Shape {
  using Type = T;
  static constexpr int dim = kDim, value_dim = kValueDim;
  // A tile's keys in pieces of 32 elements of all of them, two loads; its values in pieces of 64,
  // four loads. Chunks of pieces are loaded together.
  static constexpr int key_pieces = kDim / 32, value_pieces = kValueDim / 64;
  static constexpr int key_chunks = kDim <= 192 ? 1 : kDim <= 256 ? 2 : 6;
  static constexpr int value_chunks = (value_pieces + 1) / 2;
  static constexpr int chunks = key_chunks + value_chunks;
  static constexpr int key_run = key_pieces / key_chunks;
  static constexpr int value_run = value_pieces / value_chunks;
  static constexpr int loads = 2 * key_run > 4 * value_run ? 2 * key_run : 4 * value_run;
  static constexpr int warps = kDim <= 128 ? 12 : 8;  // of the largest block
  static_assert(chunks % 2 == 0 && key_run * key_chunks == key_pieces &&
                value_run * value_chunks == value_pieces);
};

struct DecodeArgs {
  AttentionArgs attention;
  float *value, *stats;  // partial results: [blocks, kHeads, value_dim], [blocks, kHeads, 2]
  int32_t* counters;     // [sequences, head groups]
};

// What a block works on.
struct Work {
  int32_t sequence, row, kv_head, head, heads;  // first query head, how many
  int32_t position, begin, end, shares;         // tiles of this share by number in `tiles`
  SeenKeys seen;
  SeenBlocks tiles;
};

// A tile's place in memory, at this lane's first elements.
template <class T>
struct Tile {
  const T *k, *v;
  int32_t tokens;  // that are there; 0: no such tile
};

template <class S>
struct Buffers {
  uint4 chunk[2][S::loads];
};

// A warp's result for its tiles: of heads 2t and 2t + 1, with t the lane within its four.
template <class S>
struct Result {
  float maximum[2], sum[2];
  float value[S::value_pieces * 4][4];  // [i]: elements 64 * (i / 4) + 8 * g + 2 * (i % 4) + {0, 1}
};

// False where the block has nothing to do.
__device__ bool find_work(const AttentionArgs& args, Work& work) {
  work.sequence = blockIdx.z;
  const int32_t sequences = *args.sequences.count, keys = args.keys[work.sequence];
  const int32_t next = args.row_begin[work.sequence + 1];
  work.row = args.row_begin[work.sequence];
  // One condition, so that these loads don't wait for each other.
  if ((work.sequence >= sequences) | (next - work.row != 1) | (keys < 1)) return false;
  work.position = keys - 1;
  work.seen = seen_keys(args.score, work.sequence, work.position, keys);
  work.tiles = seen_blocks(work.seen, kTile);
  const int count = work.tiles.count, splits = gridDim.x;
  const int share = max((count + splits - 1) / splits, kLeastTiles);
  work.shares = max((count + share - 1) / share, 1);
  work.begin = blockIdx.x * share;
  work.end = min(work.begin + share, count);
  const int group = args.heads / args.kv_heads, groups = (group + kHeads - 1) / kHeads;
  work.kv_head = blockIdx.y / groups;
  const int first = blockIdx.y % groups * kHeads;
  work.head = work.kv_head * group + first;
  work.heads = min(group - first, kHeads);
  return static_cast<int>(blockIdx.x) < work.shares;
}

template <class T>
__device__ __forceinline__ Tile<T> find_tile(const AttentionArgs& args, const Work& work, int i,
                                             int32_t id, int lane) {
  const int32_t first = work.tiles.block(i) * kTile, token = first % kBlockTokens;
  const int g = lane / 4, t = lane % 4;
  const KvView& kv = args.kv;
  return {static_cast<const T*>(kv.k) + id * kv.k_stride.block + work.kv_head * kv.k_stride.head +
              (token + g) * args.dim + 8 * t,
          static_cast<const T*>(kv.v) + id * kv.v_stride.block + work.kv_head * kv.v_stride.head +
              (token + 2 * t) * args.value_dim + 8 * g,
          i < work.end ? min(work.seen.end - first, kTile) : 0};
}

template <class S, int kChunk>
__device__ __forceinline__ void load_chunk(const AttentionArgs& args,
                                           const Tile<typename S::Type>& tile, int lane,
                                           uint4 (&to)[S::loads]) {
  const int g = lane / 4, t = lane % 4;
  if constexpr (kChunk < S::key_chunks) {
#pragma unroll
    for (int i = 0; i < S::key_run; ++i) {
      const int d = (kChunk * S::key_run + i) * 32;
      const bool there = d + 8 * t < args.dim;
      to[2 * i] = load_once(tile.k + d, there && g < tile.tokens);
      to[2 * i + 1] = load_once(tile.k + 8 * args.dim + d, there && g + 8 < tile.tokens);
    }
  } else {
#pragma unroll
    for (int i = 0; i < S::value_run; ++i) {
      const int d = ((kChunk - S::key_chunks) * S::value_run + i) * 64;
      const bool there = d + 8 * g < args.value_dim;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int token = j / 2 * 8 + j % 2;
        to[4 * i + j] =
            load_once(tile.v + token * args.value_dim + d, there && 2 * t + token < tile.tokens);
      }
    }
  }
}

// sum[i] += products of the chunk's elements; the two sums are added in the end.
template <class S, int kChunk>
__device__ __forceinline__ void take_keys(const uint4 (&chunk)[S::loads], const uint4* queries,
                                          int lane, float (&sum)[2][4]) {
#pragma unroll
  for (int i = 0; i < S::key_run; ++i) {
    const uint4 q = queries[(kChunk * S::key_run + i) * 32 + lane];
    const uint4 a = chunk[2 * i], b = chunk[2 * i + 1];
    multiply_add<typename S::Type>(sum[0], {a.x, b.x, a.y, b.y}, q.x, q.y);
    multiply_add<typename S::Type>(sum[1], {a.z, b.z, a.w, b.w}, q.z, q.w);
  }
}

template <class S, int kChunk>
__device__ __forceinline__ void take_values(const uint4 (&chunk)[S::loads],
                                            const uint32_t (&weight)[2], Result<S>& result) {
#pragma unroll
  for (int i = 0; i < S::value_run; ++i) {
    const uint4 *a = &chunk[4 * i], *b = a + 1, *c = a + 2, *d = a + 3;
    float(*value)[4] = &result.value[((kChunk - S::key_chunks) * S::value_run + i) * 4];
    const auto take = [&](int j, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
      multiply_add<typename S::Type>(
          value[j], {low_halves(a, b), high_halves(a, b), low_halves(c, d), high_halves(c, d)},
          weight[0], weight[1]);
    };
    take(0, a->x, b->x, c->x, d->x);
    take(1, a->y, b->y, c->y, d->y);
    take(2, a->z, b->z, c->z, d->z);
    take(3, a->w, b->w, c->w, d->w);
  }
}

// Turns a tile's products into weights.
template <class S>
__device__ __forceinline__ void soften(const AttentionArgs& args, const Work& work,
                                       const HeadBias (&bias)[2], int tile, int lane,
                                       const float (&sum)[2][4], uint32_t (&weight)[2],
                                       Result<S>& result) {
  float x[4], keep[2];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int key = tile * kTile + lane / 4 + i / 2 * 8;
    x[i] = work.seen.holds(key)
               ? score_of(args.score, bias[i % 2], sum[0][i] + sum[1][i], key, work.position)
               : -INFINITY;
  }
  bool grows = false;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float top = fmaxf(x[h], x[h + 2]);
#pragma unroll
    for (int step = 4; step < 32; step *= 2) {
      top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, step));
    }
    grows |= top > result.maximum[h];
    top = fmaxf(top, result.maximum[h]);
    const float base = top == -INFINITY ? 0.0f : top;
    keep[h] = __expf(result.maximum[h] - base);
    result.maximum[h] = top;
    x[h] = __expf(x[h] - base);
    x[h + 2] = __expf(x[h + 2] - base);
    result.sum[h] = result.sum[h] * keep[h] + x[h] + x[h + 2];
  }
  if (__any_sync(kAllLanes, grows)) {
#pragma unroll
    for (int i = 0; i < S::value_pieces * 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) result.value[i][j] *= keep[j % 2];
    }
  }
  weight[0] = transpose(pack<typename S::Type>(x[0], x[1]));
  weight[1] = transpose(pack<typename S::Type>(x[2], x[3]));
}

// Queries as the right factor takes them: [piece][lane], 8 elements of head g from 32 * piece + 8t.
template <class S>
__device__ void load_queries(const AttentionArgs& args, const Work& work, uint4* queries) {
  const auto* q = static_cast<const typename S::Type*>(args.q.x) + work.row * args.q.stride +
                  static_cast<int64_t>(work.head) * args.dim;
  for (int i = threadIdx.x; i < S::key_pieces * 32; i += blockDim.x) {
    const int head = i % 32 / 4, d = i / 32 * 32 + i % 4 * 8;
    queries[i] = load_once(q + head * args.dim + d, head < work.heads && d < args.dim);
  }
}

// Consumes chunk kChunk of this tile and the ones after it; each leaves its registers to the chunk
// that comes two later, of this tile or the next.
template <class S, int kChunk>
struct Step {
  const AttentionArgs& args;
  const Work& work;
  const HeadBias (&bias)[2];
  const uint4* queries;
  int lane;

  __device__ __forceinline__ void run(int i, const Tile<typename S::Type>& tile,
                                      const Tile<typename S::Type>& next, Buffers<S>& buffers,
                                      float (&sum)[2][4], uint32_t (&weight)[2],
                                      Result<S>& result) const {
    auto& chunk = buffers.chunk[kChunk % 2];
    if constexpr (kChunk < S::key_chunks) {
      take_keys<S, kChunk>(chunk, queries, lane, sum);
    } else {
      take_values<S, kChunk>(chunk, weight, result);
    }
    if constexpr (kChunk + 2 < S::chunks) {
      load_chunk<S, kChunk + 2>(args, tile, lane, chunk);
    } else {
      load_chunk<S, kChunk + 2 - S::chunks>(args, next, lane, chunk);
    }
    if constexpr (kChunk + 1 == S::key_chunks) {
      soften<S>(args, work, bias, work.tiles.block(i), lane, sum, weight, result);
    }
    if constexpr (kChunk + 1 < S::chunks) {
      const Step<S, kChunk + 1> after{args, work, bias, queries, lane};
      after.run(i, tile, next, buffers, sum, weight, result);
    }
  }
};

// A warp's tiles of the share.
template <class S>
__device__ __forceinline__ void walk(const AttentionArgs& args, const Work& work, uint4* queries,
                                     Result<S>& result) {
  using T = typename S::Type;
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  const int32_t* table = args.kv.table + static_cast<int64_t>(work.sequence) * args.kv.table_stride;
  const auto id_of = [&](int i) {
    return i < work.end ? table[work.tiles.block(i) / (kBlockTokens / kTile)] : 0;
  };
  int i = work.begin + static_cast<int>(threadIdx.x) / 32;
  int32_t next_id = id_of(i + warps);
  Tile<T> tile = find_tile<T>(args, work, i, id_of(i), lane);
  Buffers<S> buffers;
  load_chunk<S, 0>(args, tile, lane, buffers.chunk[0]);
  load_chunk<S, 1>(args, tile, lane, buffers.chunk[1]);
  load_queries<S>(args, work, queries);
  HeadBias bias[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int head = min(lane % 4 * 2 + h, work.heads - 1);
    bias[h] = head_bias(args.score, work.head + head, work.position);
  }
  __syncthreads();
  for (; i < work.end; i += warps) {
    const Tile<T> next = find_tile<T>(args, work, i + warps, next_id, lane);
    next_id = id_of(i + 2 * warps);
    float sum[2][4] = {};
    uint32_t weight[2];
    const Step<S, 0> step{args, work, bias, queries, lane};
    step.run(i, tile, next, buffers, sum, weight, result);
    tile = next;
  }
}

// What a block's threads share after the queries.
struct alignas(16) Shared {
  float stats[kMaxShares][kHeads][2];  // maximum and sum, of warps and then of shares
  float scale[kMaxShares][kHeads];     // what makes their values add up
  float total[kHeads][2];              // maximum and sum of all
  int32_t arrived;
};

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

// Finds scale and total of `count` results; a warp takes a head.
__device__ void weigh(Shared& shared, int count, int heads) {
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  for (int head = static_cast<int>(threadIdx.x) / 32; head < heads; head += warps) {
    float top = -INFINITY, sum = 0;
    for (int i = lane; i < count; i += 32) top = fmaxf(top, shared.stats[i][head][0]);
    top = warp_max(top);
    for (int i = lane; i < count; i += 32) {
      const float x = top == -INFINITY ? 0.0f : __expf(shared.stats[i][head][0] - top);
      shared.scale[i][head] = x;
      sum = fmaf(shared.stats[i][head][1], x, sum);
    }
    sum = warp_sum(sum);
    if (lane == 0) {
      shared.total[head][0] = top;
      shared.total[head][1] = sum;
    }
  }
}

// Leaves a warp's result in shared memory, values as [warp, heads, value_dim].
template <class S>
__device__ void leave(const AttentionArgs& args, const Work& work, const Result<S>& result,
                      Shared& shared, float* values) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float sum = result.sum[h];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    const int head = 2 * t + h;
    if (head >= work.heads) continue;
    if (g == 0) {
      shared.stats[warp][head][0] = result.maximum[h];
      shared.stats[warp][head][1] = sum;
    }
    float* to = values + (warp * work.heads + head) * args.value_dim;
#pragma unroll
    for (int i = 0; i < S::value_pieces * 4; i += 2) {
      const int d = i / 4 * 64 + 8 * g + i % 4 * 2;
      if (d >= args.value_dim) continue;
      const float(*x)[4] = &result.value[i];
      *reinterpret_cast<float4*>(to + d) = {x[0][h], x[0][h + 2], x[1][h], x[1][h + 2]};
    }
  }
}

// Whether this block is the last of its sequence and heads to come here.
__device__ bool arrive_last(int32_t* counter, int shares, Shared& shared) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    const int32_t arrived = atomicAdd(counter, 1);
    if (arrived == shares - 1) *counter = 0;
    __threadfence();
    shared.arrived = arrived;
  }
  __syncthreads();
  return shared.arrived == shares - 1;
}

__device__ void write(const AttentionArgs& args, const Work& work, int i, float x, float sum) {
  const int64_t at = work.row * args.out.stride + static_cast<int64_t>(work.head) * args.value_dim;
  store_as(args.out.x, args.out.type, at + i, sum > 0 ? x / sum : 0.0f);
}

// Adds up the warps' results, then the shares'.
__device__ void merge(const DecodeArgs& decode, const Work& work, Shared& shared,
                      const float* values) {
  const AttentionArgs& args = decode.attention;
  const int threads = blockDim.x, size = work.heads * args.value_dim;
  const int item = blockIdx.z * gridDim.y + blockIdx.y;
  const int64_t first = static_cast<int64_t>(item) * gridDim.x, block = first + blockIdx.x;
  const int warps = min(threads / 32, work.end - work.begin);
  weigh(shared, warps, work.heads);
  __syncthreads();
  for (int i = threadIdx.x; i < size; i += threads) {
    const int head = i / args.value_dim;
    float x = 0;
    for (int w = 0; w < warps; ++w) x = fmaf(values[w * size + i], shared.scale[w][head], x);
    if (work.shares == 1) {
      write(args, work, i, x, shared.total[head][1]);
    } else {
      decode.value[block * kHeads * args.value_dim + i] = x;
    }
  }
  if (work.shares == 1) return;
  if (static_cast<int>(threadIdx.x) < kHeads * 2) {
    decode.stats[block * kHeads * 2 + threadIdx.x] = shared.total[0][threadIdx.x];
  }
  if (!arrive_last(decode.counters + item, work.shares, shared)) return;
  const float* stats = decode.stats + first * kHeads * 2;
  for (int i = threadIdx.x; i < work.shares * kHeads * 2; i += threads) {
    shared.stats[0][0][i] = __ldcg(stats + i);
  }
  __syncthreads();
  weigh(shared, work.shares, work.heads);
  __syncthreads();
  const int64_t stride = static_cast<int64_t>(kHeads) * args.value_dim;
  for (int i = threadIdx.x; i < size; i += threads) {
    const float* from = decode.value + first * stride + i;
    const int head = i / args.value_dim;
    float x = 0;
#pragma unroll 8
    for (int s = 0; s < work.shares; ++s) {
      x = fmaf(__ldcg(from + s * stride), shared.scale[s][head], x);
    }
    write(args, work, i, x, shared.total[head][1]);
  }
}

template <class S>
__global__ void __launch_bounds__(S::warps * 32, 1)
    decode_kernel(const __grid_constant__ DecodeArgs decode) {
  extern __shared__ uint4 memory[];
  release_next();
  wait_for_previous();
  const AttentionArgs& args = decode.attention;
  Work work;
  if (!find_work(args, work)) return;
  auto& shared = *reinterpret_cast<Shared*>(memory + S::key_pieces * 32);
  auto* values = reinterpret_cast<float*>(&shared + 1);
  Result<S> result{{-INFINITY, -INFINITY}, {}, {}};
  walk<S>(args, work, memory, result);
  leave<S>(args, work, result, shared, values);
  __syncthreads();
  merge(decode, work, shared, values);
}

struct Plan {
  int warps, splits;
};

// Few pieces of work: one large block for each multiprocessor. More: small blocks that share one,
// in numbers that give all multiprocessors about as much.
Plan make_plan(const AttentionArgs& args, const CudaContext& context, int items, int max_warps) {
  const int chips = context.multiprocessors;
  const int most =
      std::clamp(args.kv.table_stride * kBlockTokens / (kLeastTiles * kTile), 1, kMaxShares);
  const int splits = chips / items;
  if (items * splits * 8 >= chips * 7) return {max_warps, std::min(splits, most)};
  constexpr int kSmallWarps = 4, kSmallBlocks = 2;
  for (int s = 1; s <= most && items * s <= kMaxBlocks; ++s) {
    const int blocks = items * s, rounds = (blocks + chips - 1) / chips;
    if (rounds >= kSmallBlocks && blocks * 8 >= rounds * chips * 7) return {kSmallWarps, s};
  }
  return {items <= chips ? max_warps : kSmallWarps, 1};
}

template <class S>
void launch_decode(const AttentionArgs& args, CudaContext& context) {
  const int group = args.heads / args.kv_heads, groups = (group + kHeads - 1) / kHeads;
  const int rows = args.kv_heads * groups, items = args.sequences.bound * rows;
  const Plan plan = make_plan(args, context, items, S::warps);
  const size_t shared = S::key_pieces * 32 * sizeof(uint4) + sizeof(Shared) +
                        sizeof(float) * plan.warps * std::min(group, kHeads) * args.value_dim;
  constexpr size_t kFreeShared = 48 << 10;
  if (shared > kFreeShared) allow_shared(decode_kernel<S>, shared);
  auto* value = static_cast<float*>(args.scratch);
  const int64_t blocks = plan.splits == 1 ? 0 : int64_t{items} * plan.splits;
  const DecodeArgs decode{args, value, value + blocks * kHeads * args.value_dim, context.counters};
  launch(context, decode_kernel<S>, dim3(plan.splits, rows, args.sequences.bound),
         dim3(plan.warps * 32), shared, decode);
}

// Calls f with the smallest shape that holds the arguments; false where there is none.
template <class T, class F>
bool with_shape(const AttentionArgs& args, F&& f) {
  const auto fits = [&](auto shape) {
    return args.dim <= shape.dim && args.value_dim <= shape.value_dim && (f(shape), true);
  };
  return fits(Shape<T, 64, 64>()) || fits(Shape<T, 128, 128>()) || fits(Shape<T, 192, 128>()) ||
         fits(Shape<T, 256, 256>()) || fits(Shape<T, 576, 512>());
}

bool whole_pieces(const void* data, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
}

}  // namespace

bool runs_decode(const AttentionArgs& args, const CudaContext& context) {
  const KvView& kv = args.kv;
  return context.major >= 8 && args.q.type == kv.type &&
         (kv.type == DType::kBF16 || kv.type == DType::kF16) && args.dim % 8 == 0 &&
         args.value_dim % 8 == 0 && whole_pieces(args.q.x, args.q.stride) &&
         whole_pieces(kv.k, kv.k_stride.block | kv.k_stride.head) &&
         whole_pieces(kv.v, kv.v_stride.block | kv.v_stride.head) &&
         with_shape<__half>(args, [](auto) {});
}

void cuda_attention_decode(const AttentionArgs& args, CudaContext& context) {
  const auto start = [&](auto shape) { launch_decode<decltype(shape)>(args, context); };
  if (args.kv.type == DType::kF16) {
    with_shape<__half>(args, start);
  } else {
    with_shape<__nv_bfloat16>(args, start);
  }
}

size_t decode_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t) {
  const int64_t items = std::min<int64_t>(kMaxBlocks, int64_t{rows} * heads * kMaxShares);
  return sizeof(float) * static_cast<size_t>(items) * kHeads * (value_dim + 2);
}

}  // namespace tensormill
