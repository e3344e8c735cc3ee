#pragma once

// What a block of the kernel for single queries works on: see attention_decode.cu.

#include "kernels/cuda/device/attention_score.cuh"
#include "kernels/cuda/device/tensor_core.cuh"

namespace tensormill::decode {

constexpr int kHeads = 8;         // query heads of a block, the columns of a tensor core's product
constexpr int kTile = 16;         // keys of a tile, its rows
constexpr int kLoneTiles = 16;    // up to which a sequence is one share
constexpr int kLeastTiles = 8;    // of a share, where there are several
constexpr int kMaxShares = 32;    // of a sequence
constexpr int kEarlyIds = 384;    // of a sequence, loaded before its keys are known
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
  // Of a block that shares a multiprocessor with as many as fit, or with fewer.
  static constexpr int few_warps = kDim == 64 ? 2 : kDim <= 128 ? 3 : 4, some_warps = 4;
  static constexpr int registers = kDim == 64 ? 112 : kDim <= 128 ? 168 : 255;  // of a thread
  static_assert(chunks % 2 == 0 && key_run * key_chunks == key_pieces &&
                value_run * value_chunks == value_pieces);
};

template <class T>
inline constexpr DType kTypeOf = std::is_same_v<T, __half> ? DType::kF16 : DType::kBF16;

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
  bool stores, early;  // what is done first
  ToCacheArgs store;
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
  int32_t fresh;                 // the key that comes from the product of this step; -1: none
  const int32_t *table, *early;  // block ids; the first blockDim.x of them in shared memory
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

// The rest; false where the block has nothing to do. The first block ids are in shared memory after
// a barrier.
__device__ __forceinline__ bool find_share(const DecodeArgs& decode, int32_t* early, Work& work) {
  const AttentionArgs& args = decode.attention;
  // The loads from here on don't wait for each other.
  work.table = args.kv.table + static_cast<int64_t>(work.sequence) * args.kv.table_stride;
  work.early = early;
  const int own = threadIdx.x;
  const int32_t id = own < args.kv.table_stride ? load_now(work.table + own) : 0;
  work.fresh = decode.stores ? load_now(decode.store.slots + work.sequence) : -1;
  const int32_t sequences = load_now(args.sequences.count);
  const int32_t keys = load_now(args.keys + work.sequence);
  const int32_t next = load_now(args.row_begin + work.sequence + 1);
  work.row = load_now(args.row_begin + work.sequence);
  early[own] = id;
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

}  // namespace tensormill::decode
