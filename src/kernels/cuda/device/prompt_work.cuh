#pragma once

// Which rows, head and keys a block of prompt attention works on. Everything is found on the
// device: the host knows bounds only.

#include "kernels/table.h"

namespace tensormill {

// Keys and values of the heads that are worked on at once should stay in the L2 cache.
inline constexpr int64_t kCachedBytes = 24 << 20;

// A tile of query rows of one sequence and one head.
struct PromptWork {
  int32_t sequence;  // below 0: there is no more
  int32_t head, kv_head;
  int32_t row;            // first of the tile's among all rows
  int32_t rows;           // of the sequence from there on: may be more than the tile has
  int32_t position;       // of the first row in its sequence
  int32_t keys, prefix;   // of the sequence
  int32_t begin, end;     // keys that some row of the tile sees
  const int32_t* blocks;  // of the sequence
};

// Items of the sequences before `sequence`, so that a block looks at each sequence once.
struct WorkCursor {
  int32_t sequence = 0, items = 0;
};

// A row at `position` sees the keys below this.
__device__ __forceinline__ int32_t seen_end(const Score& score, const PromptWork& work,
                                            int32_t position) {
  return score.causal ? max(position + 1, work.prefix) : work.keys;
}

// Of those it sees the prefix, and the keys from here on.
__device__ __forceinline__ int32_t seen_begin(const Score& score, int32_t position) {
  return score.window == 0 ? 0 : max(position - score.window + 1, 0);
}

// Whether the rows at positions first .. last all see the keys begin .. end.
__device__ __forceinline__ bool all_seen(const Score& score, const PromptWork& work, int32_t first,
                                         int32_t last, int32_t begin, int32_t end) {
  return end <= seen_end(score, work, first) &&
         (begin >= seen_begin(score, last) || end <= work.prefix);
}

// The item-th item of a sequence: tiles with the most keys first, heads together as far as the
// cache holds their keys.
template <int kRows>
__device__ __forceinline__ void set_work(const AttentionArgs& args, int32_t sequence, int32_t begin,
                                         int32_t rows, int32_t keys, int32_t item,
                                         PromptWork& work) {
  int32_t together = args.kv_heads;
  const int64_t bytes = static_cast<int64_t>(keys) * (args.dim + args.value_dim) * 2;
  while (together % 2 == 0 && together * bytes > kCachedBytes) together /= 2;
  together *= args.heads / args.kv_heads;
  const int32_t tiles = (rows + kRows - 1) / kRows;
  const int32_t group = item / (tiles * together), rest = item % (tiles * together);
  const int32_t first = (tiles - 1 - rest / together) * kRows;
  work.sequence = sequence;
  work.head = group * together + rest % together;
  work.kv_head = work.head / (args.heads / args.kv_heads);
  work.row = begin + first;
  work.rows = rows - first;
  work.position = keys - rows + first;
  work.keys = keys;
  const int32_t prefix = args.score.prefix == nullptr ? 0 : args.score.prefix[sequence];
  work.prefix = min(prefix, keys);
  work.begin = work.prefix > 0 ? 0 : seen_begin(args.score, work.position);
  work.end = seen_end(args.score, work, work.position + min(kRows, work.rows) - 1);
  work.blocks = args.kv.table + static_cast<int64_t>(sequence) * args.kv.table_stride;
}

// Work number `index` of all; false where there are not so many. `cursor` belongs to an index at
// most as large. Called by whole warps.
template <int kRows>
__device__ __forceinline__ bool find_work(const AttentionArgs& args, WorkCursor& cursor,
                                          int32_t index, PromptWork& work) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int32_t count = *args.sequences.count, bound = args.sequences.bound;
  for (; cursor.sequence < bound; cursor.sequence += 32) {
    // None of these loads waits for another.
    const int32_t sequence = cursor.sequence + lane;
    int32_t begin = 0, end = 0, keys = 0;
    if (sequence < bound) {
      begin = args.row_begin[sequence];
      end = args.row_begin[sequence + 1];
      keys = args.keys[sequence];
    }
    const int32_t rows = sequence < count ? end - begin : 0;
    const int32_t items = rows > 1 ? (rows + kRows - 1) / kRows * args.heads : 0;
    int32_t through = items;
#pragma unroll
    for (int i = 1; i < 32; i *= 2) {
      const int32_t before = __shfl_up_sync(~0u, through, i);
      if (lane >= i) through += before;
    }
    const int32_t total = __shfl_sync(~0u, through, 31);
    if (index < cursor.items + total) {
      const int owner = __ffs(__ballot_sync(~0u, cursor.items + through > index)) - 1;
      const int32_t before = cursor.items + __shfl_sync(~0u, through - items, owner);
      set_work<kRows>(args, cursor.sequence + owner, __shfl_sync(~0u, begin, owner),
                      __shfl_sync(~0u, rows, owner), __shfl_sync(~0u, keys, owner), index - before,
                      work);
      return true;
    }
    cursor.items += total;
  }
  return false;
}

// At most so many items.
inline int64_t work_bound(const AttentionArgs& args, int tile_rows) {
  const int64_t tiles = args.rows.bound / tile_rows + args.sequences.bound;
  return tiles * args.heads;
}

}  // namespace tensormill
