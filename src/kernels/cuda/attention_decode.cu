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
constexpr int kLoneTiles = 16;    // up to which a sequence is one share
constexpr int kLeastTiles = 8;    // of a share, where there are several
constexpr int kMaxShares = 64;    // of a sequence
constexpr int kEarlyIds = 256;    // of a sequence, loaded before its keys are known
constexpr int kMaxBlocks = 1024;  // of a launch with several shares
constexpr unsigned kAllLanes = 0xffffffffu;

// Dimensions that a kernel is made for: exactly, or smaller ones filled up with zeros in registers.
template <class T, int kDim, int kValueDim, bool kExact>
struct Shape {
  using Type = T;
  static constexpr int dim = kDim, value_dim = kValueDim;

  static __host__ __device__ __forceinline__ bool fits(const AttentionArgs& args) {
    return kExact ? args.dim == dim && args.value_dim == value_dim
                  : args.dim <= dim && args.value_dim <= value_dim;
  }
  // The arguments' dimensions, known to the compiler where they are.
  static __device__ __forceinline__ int key_size(const AttentionArgs& args) {
    return kExact ? dim : args.dim;
  }
  static __device__ __forceinline__ int value_size(const AttentionArgs& args) {
    return kExact ? value_dim : args.value_dim;
  }
  // 16 bytes, zeros where they are not inside.
  static __device__ __forceinline__ uint4 load(const T* from, bool inside) {
    return kExact ? load_once(from) : load_once(from, inside);
  }

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

// n / d as a product, for n * d below 2^32.
struct Divisor {
  uint64_t factor;

  explicit Divisor(int d) : factor(((uint64_t{1} << 32) + d - 1) / d) {}
  __device__ __forceinline__ int divide(int n) const {
    return static_cast<int>((n * factor) >> 32);
  }
};

struct DecodeArgs {
  AttentionArgs attention;
  float* scratch;     // a partial result for each block
  int32_t* counters;  // [sequences, head groups]
  int32_t part;       // floats of a partial result
  int32_t group;      // query heads of a kv head
  Divisor groups;     // blocks that share a kv head
  Divisor splits;     // shares of a sequence at most
};

// What a block works on.
struct Work {
  int32_t sequence, row, kv_head, head, heads;  // first query head, how many
  int32_t position, begin, end;                 // tiles of this share by number in `tiles`
  int32_t share;                                // tiles of each
  const int32_t *table, *early;  // block ids; the first kEarlyIds of them in shared memory
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
__device__ __forceinline__ void find_heads(const DecodeArgs& decode, Work& work) {
  work.sequence = blockIdx.z;
  work.kv_head = decode.groups.divide(blockIdx.y);
  work.head = work.kv_head * decode.group +
              (blockIdx.y - work.kv_head * ((decode.group + kHeads - 1) / kHeads)) * kHeads;
  work.heads = min((work.kv_head + 1) * decode.group - work.head, kHeads);
}

// Copies block ids to shared memory; they are there after finish_copies() and a barrier.
__device__ __forceinline__ void copy_ids(const int32_t* from, int count, int32_t* to) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(
                     static_cast<uint32_t>(__cvta_generic_to_shared(to + i))),
                 "l"(from + i)
                 : "memory");
  }
}
__device__ __forceinline__ void finish_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

// The rest; false where the block has nothing to do.
__device__ __forceinline__ bool find_share(const DecodeArgs& decode, int32_t* early, Work& work) {
  const AttentionArgs& args = decode.attention;
  // The loads from here on don't wait for each other.
  work.table = args.kv.table + static_cast<int64_t>(work.sequence) * args.kv.table_stride;
  copy_ids(work.table, min(args.kv.table_stride, kEarlyIds), early);
  work.early = early;
  const int32_t sequences = load_now(args.sequences.count);
  const int32_t keys = load_now(args.keys + work.sequence);
  const int32_t next = load_now(args.row_begin + work.sequence + 1);
  work.row = load_now(args.row_begin + work.sequence);
  if ((work.sequence >= sequences) | (next - work.row != 1) | (keys < 1)) return false;
  work.position = keys - 1;
  work.seen = seen_keys(args.score, work.sequence, work.position, keys);
  work.tiles = seen_blocks(work.seen, kTile);
  const int count = work.tiles.count, first = blockIdx.x;
  work.share = max(decode.splits.divide(count + gridDim.x - 1), kLeastTiles);
  if (count <= kLoneTiles) work.share = kLoneTiles;
  work.begin = first * work.share;
  work.end = min(work.begin + work.share, count);
  return first == 0 || work.begin < count;
}

// This lane's first elements of a kv head's block 0.
template <class T>
struct Lane {
  const T *k, *v;
};

template <class S, class T = typename S::Type>
__device__ __forceinline__ Lane<T> find_lane(const AttentionArgs& args, const Work& work,
                                             int lane) {
  const int g = lane / 4, t = lane % 4;
  const KvView& kv = args.kv;
  return {
      static_cast<const T*>(kv.k) + work.kv_head * kv.k_stride.head + g * S::key_size(args) + 8 * t,
      static_cast<const T*>(kv.v) + work.kv_head * kv.v_stride.head + 2 * t * S::value_size(args) +
          8 * g};
}

template <class S, class T = typename S::Type>
__device__ __forceinline__ Tile<T> find_tile(const AttentionArgs& args, const Work& work,
                                             const Lane<T>& lane, int i, int32_t id) {
  const int32_t first = work.tiles.block(i) * kTile, token = first % kBlockTokens;
  return {lane.k + id * args.kv.k_stride.block + token * S::key_size(args),
          lane.v + id * args.kv.v_stride.block + token * S::value_size(args),
          i < work.end ? min(work.seen.end - first, kTile) : 0};
}

// Whole tiles: a cache block has memory for all its tokens, whatever it holds.
template <class S, int kChunk>
__device__ __forceinline__ void load_chunk(const AttentionArgs& args,
                                           const Tile<typename S::Type>& tile, int lane,
                                           uint4 (&to)[S::loads]) {
  if (tile.tokens <= 0) return;
  const int g = lane / 4, t = lane % 4;
  if constexpr (kChunk < S::key_chunks) {
    const int dim = S::key_size(args);
#pragma unroll
    for (int i = 0; i < S::key_run; ++i) {
      const int d = (kChunk * S::key_run + i) * 32;
      to[2 * i] = S::load(tile.k + d, d + 8 * t < dim);
      to[2 * i + 1] = S::load(tile.k + 8 * dim + d, d + 8 * t < dim);
    }
  } else {
    const int dim = S::value_size(args);
#pragma unroll
    for (int i = 0; i < S::value_run; ++i) {
      const int d = ((kChunk - S::key_chunks) * S::value_run + i) * 64;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        to[4 * i + j] = S::load(tile.v + (j / 2 * 8 + j % 2) * dim + d, d + 8 * g < dim);
      }
    }
  }
}

// Values of tokens that aren't there may be anything; their weights are 0, but 0 * NaN is not.
template <class S>
__device__ __forceinline__ void clear_absent(int tokens, int lane, uint4 (&values)[S::loads]) {
#pragma unroll
  for (int i = 0; i < S::value_run * 4; ++i) {
    if (lane % 4 * 2 + i % 4 / 2 * 8 + i % 2 >= tokens) values[i] = {0, 0, 0, 0};
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
  for (int i = 0; i < 4; ++i) x[i] = sum[0][i] + sum[1][i];
  const int key = tile * kTile + lane / 4;
  if (args.score.softcap == 0 && args.score.slopes == nullptr) {
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] *= args.score.scale;
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x[i] = score_of(args.score, bias[i % 2], x[i], key + i / 2 * 8, work.position);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) x[i] = work.seen.holds(key + i / 2 * 8) ? x[i] : -INFINITY;
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
      if (tile.tokens < kTile) clear_absent<S>(tile.tokens, lane, chunk);
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
__device__ __forceinline__ void walk(const AttentionArgs& args, const Work& work,
                                     const Lane<typename S::Type>& place, uint4* queries,
                                     Result<S>& result) {
  using T = typename S::Type;
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  const auto id_of = [&](int i) {
    const int block = work.tiles.block(min(i, work.end - 1)) / (kBlockTokens / kTile);
    return (block < kEarlyIds ? work.early : work.table)[block];
  };
  finish_copies();
  __syncthreads();
  int i = work.begin + static_cast<int>(threadIdx.x) / 32;
  int32_t next_id = id_of(i + warps);
  Tile<T> tile = find_tile<S>(args, work, place, i, id_of(i));
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
    const Tile<T> next = find_tile<S>(args, work, place, i + warps, next_id);
    next_id = id_of(i + 2 * warps);
    float sum[2][4] = {};
    uint32_t weight[2];
    const Step<S, 0> step{args, work, bias, queries, lane};
    step.run(i, tile, next, buffers, sum, weight, result);
    tile = next;
  }
}

// Four elements of a head, not yet divided by the sum, and the head's maximum and sum: of a warp, a
// block or several.
struct Part {
  float4 value;
  float2 stat;
};

// Merges parts in order; load(i) is part i. kTogether of them are loaded at once.
template <int kTogether, class Load>
__device__ __forceinline__ Part merge_parts(int count, Load&& load) {
  Part all{{0, 0, 0, 0}, {-INFINITY, 0}};
  for (int begin = 0; begin < count; begin += kTogether) {
    Part part[kTogether];
    float top = all.stat.x;
#pragma unroll
    for (int i = 0; i < kTogether; ++i) part[i] = load(min(begin + i, count - 1));
#pragma unroll
    for (int i = 0; i < kTogether; ++i) top = fmaxf(top, part[i].stat.x);
    const float base = top == -INFINITY ? 0.0f : top, keep = __expf(all.stat.x - base);
    float4& sum = all.value;
    sum = {sum.x * keep, sum.y * keep, sum.z * keep, sum.w * keep};
    all.stat = {top, all.stat.y * keep};
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const float scale = begin + i < count ? __expf(part[i].stat.x - base) : 0.0f;
      const float4& x = part[i].value;
      sum = {fmaf(x.x, scale, sum.x), fmaf(x.y, scale, sum.y), fmaf(x.z, scale, sum.z),
             fmaf(x.w, scale, sum.w)};
      all.stat.y = fmaf(part[i].stat.y, scale, all.stat.y);
    }
  }
  return all;
}

// A block's result lies as values [columns] of four, then a maximum and sum for each.
__device__ __forceinline__ Part load_part(const float* from, int columns, int i) {
  return {reinterpret_cast<const float4*>(from)[i],
          reinterpret_cast<const float2*>(from + 4 * columns)[i]};
}
__device__ __forceinline__ void store_part(float* to, int columns, int i, const Part& part) {
  reinterpret_cast<float4*>(to)[i] = part.value;
  reinterpret_cast<float2*>(to + 4 * columns)[i] = part.stat;
}

__device__ __forceinline__ int warp_floats(const Work& work, int value_dim) {
  return work.heads * value_dim + 2 * kHeads;
}

// Leaves a warp's result in its place of shared memory: values [heads, value_dim], then maximum and
// sum of each head.
template <class S>
__device__ __forceinline__ void leave(const AttentionArgs& args, const Work& work,
                                      const Result<S>& result, float* parts) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int value_dim = args.value_dim;
  float* part = parts + static_cast<int>(threadIdx.x) / 32 * warp_floats(work, value_dim);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float sum = result.sum[h];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    const int head = 2 * t + h;
    if (head >= work.heads) continue;
    if (g == 0) {
      reinterpret_cast<float2*>(part + work.heads * value_dim)[head] = {result.maximum[h], sum};
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

__device__ __forceinline__ void write(const AttentionArgs& args, const Work& work, int column,
                                      const Part& part) {
  const int64_t at =
      work.row * args.out.stride + static_cast<int64_t>(work.head) * args.value_dim + 4 * column;
  const float scale = part.stat.y > 0 ? 1.0f / part.stat.y : 0.0f;
  const float x[4] = {part.value.x, part.value.y, part.value.z, part.value.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) store_as(args.out.x, args.out.type, at + i, x[i] * scale);
}

// Adds up the warps' results, then the blocks'.
__device__ __forceinline__ void merge(const DecodeArgs& decode, const Work& work,
                                      const float* parts) {
  const AttentionArgs& args = decode.attention;
  const int columns = work.heads * args.value_dim / 4, floats = warp_floats(work, args.value_dim);
  const int item = blockIdx.z * gridDim.y + blockIdx.y;
  float* scratch = decode.scratch + static_cast<int64_t>(item) * gridDim.x * decode.part;
  const int warps = min(static_cast<int>(blockDim.x) / 32, work.end - work.begin);
  const bool lone = work.tiles.count <= work.share;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    const int head = 4 * i / args.value_dim;
    const Part part = merge_parts<4>(warps, [&](int w) -> Part {
      const float* from = parts + w * floats;
      return {reinterpret_cast<const float4*>(from)[i],
              reinterpret_cast<const float2*>(from + 4 * columns)[head]};
    });
    if (lone) {
      write(args, work, i, part);
    } else {
      store_part(scratch + blockIdx.x * decode.part, columns, i, part);
    }
  }
  if (lone) return;
  const int shares = (work.tiles.count + work.share - 1) / work.share;
  if (!arrive_last(decode.counters + item, shares)) return;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    write(args, work, i, merge_parts<8>(shares, [&](int s) {
            return load_part(scratch + s * decode.part, columns, i);
          }));
  }
}

template <class S>
__global__ void __launch_bounds__(S::warps * 32, 1)
    decode_kernel(const __grid_constant__ DecodeArgs decode) {
  extern __shared__ uint4 memory[];
  release_next();
  const AttentionArgs& args = decode.attention;
  Work work;
  find_heads(decode, work);
  const auto place = find_lane<S>(args, work, threadIdx.x % 32);
  wait_for_previous();
  __shared__ int32_t early[kEarlyIds];
  if (!find_share(decode, early, work)) return;
  Result<S> result{{-INFINITY, -INFINITY}, {}, {}};
  walk<S>(args, work, place, memory, result);
  auto* parts = reinterpret_cast<float*>(memory + S::key_pieces * 32);
  leave<S>(args, work, result, parts);
  __syncthreads();
  merge(decode, work, parts);
}

struct Plan {
  int warps, splits;
};

// Few pieces of work: one large block for each multiprocessor. More: small blocks that share one,
// in numbers that give all multiprocessors about as much.
Plan make_plan(const AttentionArgs& args, const CudaContext& context, int items) {
  constexpr int kLargeWarps = 8, kSmallWarps = 4, kSmallBlocks = 2;
  const int chips = context.multiprocessors;
  const int most =
      std::clamp(args.kv.table_stride * kBlockTokens / (kLeastTiles * kTile), 1, kMaxShares);
  const int splits = chips / items;
  if (items * splits * 8 >= chips * 7) return {kLargeWarps, std::min(splits, most)};
  for (int s = 1; s <= most && items * s <= kMaxBlocks; ++s) {
    const int blocks = items * s, rounds = (blocks + chips - 1) / chips;
    if (rounds >= kSmallBlocks && blocks * 8 >= rounds * chips * 7) return {kSmallWarps, s};
  }
  return {items <= chips ? kLargeWarps : kSmallWarps, 1};
}

template <class S>
void launch_decode(const AttentionArgs& args, CudaContext& context) {
  const int group = args.heads / args.kv_heads, groups = (group + kHeads - 1) / kHeads;
  const int rows = args.kv_heads * groups, items = args.sequences.bound * rows;
  const Plan plan = make_plan(args, context, items);
  const int values = std::min(group, kHeads) * args.value_dim;
  const size_t shared =
      S::key_pieces * 32 * sizeof(uint4) + sizeof(float) * plan.warps * (values + 2 * kHeads);
  constexpr size_t kFreeShared = 48 << 10;
  if (shared > kFreeShared) allow_shared(decode_kernel<S>, shared);
  const DecodeArgs decode{args,
                          static_cast<float*>(args.scratch),
                          context.counters,
                          values / 2 * 3,
                          group,
                          Divisor(groups),
                          Divisor(plan.splits)};
  launch(context, decode_kernel<S>, dim3(plan.splits, rows, args.sequences.bound),
         dim3(plan.warps * 32), shared, decode);
}

// Calls f with the shape for the arguments; false where there is none.
template <class T, class F>
bool with_shape(const AttentionArgs& args, F&& f) {
  const auto fits = [&](auto shape) { return shape.fits(args) && (f(shape), true); };
  return fits(Shape<T, 64, 64, true>()) || fits(Shape<T, 128, 128, true>()) ||
         fits(Shape<T, 192, 128, true>()) || fits(Shape<T, 256, 256, true>()) ||
         fits(Shape<T, 576, 512, true>()) || fits(Shape<T, 64, 64, false>()) ||
         fits(Shape<T, 128, 128, false>()) || fits(Shape<T, 256, 256, false>());
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
  return sizeof(float) * static_cast<size_t>(items) * kHeads * value_dim / 2 * 3;
}

}  // namespace tensormill
