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
constexpr int kMaxCluster = 16;   // shares of a sequence that meet in a cluster
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
  float* scratch;       // partial results of blocks, unless they meet in clusters
  int32_t* counters;    // [sequences, head groups]
  int32_t part, stats;  // floats of a partial result, and before its maxima and sums
  bool cluster;         // the shares of a sequence are one
};

// What a block works on.
struct Work {
  int32_t sequence, row, kv_head, head, heads;  // first query head, how many
  int32_t position, begin, end, shares;         // tiles of this share by number in `tiles`
  int32_t early;                                // of each lane: an id at the table's beginning
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

// What the launch alone says of a block's work.
__device__ __forceinline__ void find_heads(const AttentionArgs& args, Work& work) {
  const int group = args.heads / args.kv_heads, groups = (group + kHeads - 1) / kHeads;
  work.sequence = blockIdx.z;
  work.kv_head = blockIdx.y / groups;
  const int first = blockIdx.y % groups * kHeads;
  work.head = work.kv_head * group + first;
  work.heads = min(group - first, kHeads);
}

// The rest; false where the block has nothing to do.
__device__ __forceinline__ bool find_share(const AttentionArgs& args, Work& work) {
  // All at once: none of these loads waits for another.
  const int32_t* table = args.kv.table + static_cast<int64_t>(work.sequence) * args.kv.table_stride;
  const int32_t sequences = load_now(args.sequences.count);
  const int32_t keys = load_now(args.keys + work.sequence);
  const int32_t next = load_now(args.row_begin + work.sequence + 1);
  work.row = load_now(args.row_begin + work.sequence);
  work.early = load_now(table + min(static_cast<int>(threadIdx.x) % 32, args.kv.table_stride - 1));
  if (work.sequence >= sequences || next - work.row != 1) return false;
  work.position = keys - 1;
  work.seen = seen_keys(args.score, work.sequence, work.position, keys);
  work.tiles = seen_blocks(work.seen, kTile);
  const int count = work.tiles.count, splits = gridDim.x;
  const int share = max((count + splits - 1) / splits, kLeastTiles);
  work.shares = max((count + share - 1) / share, 1);
  work.begin = blockIdx.x * share;
  work.end = min(work.begin + share, count);
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
    if (i >= work.end) return 0;
    const int block = work.tiles.block(i) / (kBlockTokens / kTile);
    return block < 32 ? __shfl_sync(kAllLanes, work.early, block) : table[block];
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

// A warp's, a block's or several blocks' result for four elements of a head.
struct Merged {
  float4 value;
  float maximum, sum;
};

// Merges `count` parts in order; from(i) is where part i begins. kTogether of them are loaded at
// once.
template <int kTogether, class From>
__device__ __forceinline__ Merged merge_parts(int count, int column, int head, int stats,
                                              From&& from) {
  Merged merged{{0, 0, 0, 0}, -INFINITY, 0};
  for (int begin = 0; begin < count; begin += kTogether) {
    float4 value[kTogether];
    float2 stat[kTogether];
    float top = merged.maximum;
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const float* part = from(min(begin + i, count - 1));
      value[i] = reinterpret_cast<const float4*>(part)[column];
      stat[i] = reinterpret_cast<const float2*>(part + stats)[head];
    }
#pragma unroll
    for (int i = 0; i < kTogether; ++i) top = fmaxf(top, stat[i].x);
    const float base = top == -INFINITY ? 0.0f : top, keep = __expf(merged.maximum - base);
    float4& sum = merged.value;
    sum = {sum.x * keep, sum.y * keep, sum.z * keep, sum.w * keep};
    merged.sum *= keep;
    merged.maximum = top;
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const float scale = begin + i < count ? __expf(stat[i].x - base) : 0.0f;
      const float4& x = value[i];
      sum = {fmaf(x.x, scale, sum.x), fmaf(x.y, scale, sum.y), fmaf(x.z, scale, sum.z),
             fmaf(x.w, scale, sum.w)};
      merged.sum = fmaf(stat[i].y, scale, merged.sum);
    }
  }
  return merged;
}

// Leaves a warp's result in its part of shared memory: values [heads, value_dim], then maximum and
// sum of each head.
template <class S>
__device__ __forceinline__ void leave(const DecodeArgs& decode, const Work& work,
                                      const Result<S>& result, float* parts) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int value_dim = decode.attention.value_dim;
  float* part = parts + static_cast<int>(threadIdx.x) / 32 * decode.part;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float sum = result.sum[h];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    const int head = 2 * t + h;
    if (head >= work.heads) continue;
    if (g == 0) {
      reinterpret_cast<float2*>(part + decode.stats)[head] = {result.maximum[h], sum};
    }
#pragma unroll
    for (int i = 0; i < S::value_pieces * 4; i += 2) {
      const int d = i / 4 * 64 + 8 * g + i % 4 * 2;
      if (d >= value_dim) continue;
      const float(*x)[4] = &result.value[i];
      *reinterpret_cast<float4*>(part + head * value_dim + d) = {x[0][h], x[0][h + 2], x[1][h],
                                                                 x[1][h + 2]};
    }
  }
}

// Whether this block is the last of its sequence and heads to come here.
__device__ __forceinline__ bool arrive_last(int32_t* counter, int shares) {
  __shared__ int32_t arrived;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    arrived = atomicAdd(counter, 1);
    if (arrived == shares - 1) *counter = 0;
    __threadfence();
  }
  __syncthreads();
  return arrived == shares - 1;
}

__device__ __forceinline__ void meet_cluster() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
#endif
}

// The same place of shared memory in another block of the cluster.
__device__ __forceinline__ const float* in_block(const float* place, int block) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm("mapa.u64 %0, %0, %1;" : "+l"(place) : "r"(block));
#endif
  return place;
}

__device__ __forceinline__ void write(const AttentionArgs& args, const Work& work, int column,
                                      const Merged& merged) {
  const int64_t at =
      work.row * args.out.stride + static_cast<int64_t>(work.head) * args.value_dim + 4 * column;
  const float scale = merged.sum > 0 ? 1.0f / merged.sum : 0.0f;
  const float x[4] = {merged.value.x, merged.value.y, merged.value.z, merged.value.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) store_as(args.out.x, args.out.type, at + i, x[i] * scale);
}

// Adds up the warps' results, then the shares'.
__device__ __forceinline__ void merge(const DecodeArgs& decode, const Work& work, float* parts) {
  const AttentionArgs& args = decode.attention;
  const int warps = blockDim.x / 32, columns = work.heads * args.value_dim / 4;
  const int item = blockIdx.z * gridDim.y + blockIdx.y;
  float* scratch = decode.scratch + static_cast<int64_t>(item) * gridDim.x * decode.part;
  float* own = decode.cluster ? parts + warps * decode.part : scratch + blockIdx.x * decode.part;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    const int head = 4 * i / args.value_dim;
    const Merged merged = merge_parts<4>(min(warps, work.end - work.begin), i, head, decode.stats,
                                         [&](int w) { return parts + w * decode.part; });
    if (work.shares == 1) {
      write(args, work, i, merged);
      continue;
    }
    reinterpret_cast<float4*>(own)[i] = merged.value;
    if (4 * i == head * args.value_dim) {
      reinterpret_cast<float2*>(own + decode.stats)[head] = {merged.maximum, merged.sum};
    }
  }
  if (work.shares == 1) return;
  int begin = 0, end = columns;
  if (decode.cluster) {  // each block merges some of the elements
    begin = columns * blockIdx.x / work.shares;
    end = columns * (blockIdx.x + 1) / work.shares;
    meet_cluster();
  } else if (!arrive_last(decode.counters + item, work.shares)) {
    return;
  }
  for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
    write(args, work, i,
          merge_parts<16>(work.shares, i, 4 * i / args.value_dim, decode.stats, [&](int s) {
            return decode.cluster ? in_block(own, s) : scratch + s * decode.part;
          }));
  }
  if (decode.cluster) meet_cluster();  // nobody leaves while others read its memory
}

template <class S>
__global__ void __launch_bounds__(S::warps * 32, 1)
    decode_kernel(const __grid_constant__ DecodeArgs decode) {
  extern __shared__ uint4 memory[];
  release_next();
  const AttentionArgs& args = decode.attention;
  Work work;
  find_heads(args, work);
  wait_for_previous();
  if (!find_share(args, work)) return;
  Result<S> result{{-INFINITY, -INFINITY}, {}, {}};
  walk<S>(args, work, memory, result);
  auto* parts = reinterpret_cast<float*>(memory + S::key_pieces * 32);
  leave<S>(decode, work, result, parts);
  __syncthreads();
  merge(decode, work, parts);
}

struct Plan {
  int warps, splits;
  bool cluster;
};

// Few pieces of work: one large block for each multiprocessor. More: small blocks that share one,
// in numbers that give all multiprocessors about as much.
Plan make_plan(const AttentionArgs& args, const CudaContext& context, int items, int max_warps) {
  const int chips = context.multiprocessors;
  const int most =
      std::clamp(args.kv.table_stride * kBlockTokens / (kLeastTiles * kTile), 1, kMaxShares);
  const int splits = std::min(chips / items, most);
  const bool cluster = context.major >= 9 && splits > 1 && splits <= kMaxCluster;
  if (items * (chips / items) * 8 >= chips * 7) return {max_warps, splits, cluster};
  constexpr int kSmallWarps = 4, kSmallBlocks = 2;
  for (int s = 1; s <= most && items * s <= kMaxBlocks; ++s) {
    const int blocks = items * s, rounds = (blocks + chips - 1) / chips;
    if (rounds >= kSmallBlocks && blocks * 8 >= rounds * chips * 7) return {kSmallWarps, s, false};
  }
  return {items <= chips ? max_warps : kSmallWarps, 1, false};
}

template <class S>
void launch_decode(const AttentionArgs& args, CudaContext& context) {
  const int group = args.heads / args.kv_heads, groups = (group + kHeads - 1) / kHeads;
  const int rows = args.kv_heads * groups, items = args.sequences.bound * rows;
  const Plan plan = make_plan(args, context, items, S::warps);
  const int stats = std::min(group, kHeads) * args.value_dim, part = stats + kHeads * 2;
  const size_t shared =
      S::key_pieces * 32 * sizeof(uint4) + sizeof(float) * (plan.warps + plan.cluster) * part;
  constexpr size_t kFreeShared = 48 << 10;
  if (shared > kFreeShared) allow_shared(decode_kernel<S>, shared);
  if (plan.cluster && plan.splits > 8) {
    check_cuda(
        cudaFuncSetAttribute(decode_kernel<S>, cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
        "cudaFuncSetAttribute");
  }
  const DecodeArgs decode{
      args, static_cast<float*>(args.scratch), context.counters, part, stats, plan.cluster};
  launch_clusters(context, plan.cluster ? plan.splits : 1, decode_kernel<S>,
                  dim3(plan.splits, rows, args.sequences.bound), dim3(plan.warps * 32), shared,
                  decode);
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
