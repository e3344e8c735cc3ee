#pragma once

// What attention does with a chunk of keys whatever the cache's type is: scores become weights, and
// a chunk's result meets those before it.

#include "kernels/cpu/attention_pair.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX2__)
constexpr int kMaxPairs = 6;  // of a block, whose sums stay in registers
#else
constexpr int kMaxPairs = 3;
#endif
constexpr int kFewBlocks = 4;              // that a single row takes at once
constexpr int kRowDim = kMaxHeadDim + 16;  // a row of values, whole vectors

// Calls f with a null pointer to char[size], 1 <= size <= Most.
template <int Most, class Function>
[[gnu::always_inline]] inline void with_size(int size, Function&& f) {
  if constexpr (Most > 1) {
    if (size < Most) return with_size<Most - 1>(size, f);
  }
  f(static_cast<char(*)[Most]>(nullptr));
}

// Calls f(b, first, constant) for blocks b of R = sizeof *constant <= Most pairs from `first` on.
template <int Most, class Function>
[[gnu::always_inline]] inline void for_blocks(int count, Function&& f) {
  const int blocks = (count + Most - 1) / Most;
  for (int b = 0; b < blocks; ++b) {
    const int first = count * b / blocks, size = count * (b + 1) / blocks - first;
    with_size<Most>(size, [&](auto* constant) { f(b, first, constant); });
  }
}

constexpr int kMaxLanes = 16;  // of a vector, and pairs of a block

// Maxima and sums of a block's pairs: of one chunk, or of those merged so far.
struct Sums {
  alignas(64) float maximum[kMaxLanes], sum[kMaxLanes];
};
inline void clear(Sums& sums) {
  for (int i = 0; i < kMaxLanes; ++i) {
    sums.maximum[i] = kNever;
    sums.sum[i] = 0;
  }
}

// Turns one pair's scores of a chunk into weights; the chunk's maximum and sum.
inline void soften(const Score& score, const Pair& pair, float* weight, int start, Range seen,
                   float& maximum, float& sum) {
  const Range own = seen_by(pair, seen);
  const int clear_end = (seen.end - start + kLanes - 1) / kLanes * kLanes;
  const int from = own.begin < own.end ? (own.begin - start) / kLanes * kLanes : clear_end;
  const int to = own.begin < own.end ? (own.end - start + kLanes - 1) / kLanes * kLanes : clear_end;
  for (int i = (seen.begin - start) / kLanes * kLanes; i < from; i += kLanes)
    store(weight + i, zero());
  for (int i = to; i < clear_end; i += kLanes) store(weight + i, zero());
  maximum = kNever;
  sum = 0;
  if (own.begin >= own.end) return;
  const Terms terms = terms_of(score, pair);
  const F never = set1(kNever);
  F top = never;
  for (int i = from; i < to; i += kLanes) {
    const int place = start + i;
    F x = score_of(terms, load(weight + i), place);
    x = select(lanes_between(own.begin - place, own.end - place), x, never);
    store(weight + i, x);
    top = max(x, top);
  }
  if (pair.hole.begin < pair.hole.end) top = mask_hole(pair.hole, weight, start, {from, to});
  maximum = reduce_max(top);
  const F shift = set1(maximum);
  F total = zero();
  for (int i = from; i < to; i += kLanes) {
    const F p = exp(load(weight + i) - shift);
    store(weight + i, p);
    total = total + p;
  }
  sum = reduce_add(total);
}

// Adds a chunk's result to that of the chunks before it, for `count` pairs whose values lie
// `stride` and `chunk_stride` apart. The one place where chunks meet.
inline void merge(Sums& sums, float* value, int stride, const Sums& chunk, const float* chunk_value,
                  int chunk_stride, int count, int dim) {
  alignas(64) float keep[kMaxLanes], take[kMaxLanes];
  for (int i = 0; i < count; i += kLanes) {
    const F old = load(sums.maximum + i), one = load(chunk.maximum + i);
    const F old_sum = load(sums.sum + i), one_sum = load(chunk.sum + i);
    const Mask any = either(less(zero(), one_sum), is_nan(one_sum));
    const F top = select(less(old, one), one, old);
    const F k = exp(old - top), t = exp(one - top);
    store(keep + i, k);
    store(take + i, t);
    store(sums.sum + i, select(any, old_sum * k + one_sum * t, old_sum));
    store(sums.maximum + i, select(any, top, old));
  }
  for (int r = 0; r < count; ++r, value += stride, chunk_value += chunk_stride) {
    if (chunk.sum[r] == 0) continue;  // the pair sees none of its keys
    const F k = set1(keep[r]), t = set1(take[r]);
    for_vectors(dim, [&](int i, int n) {
      store_some(value + i, fma(load_some(chunk_value + i, n), t, load_some(value + i, n) * k), n);
    });
  }
}

inline void write_pair(const AttentionArgs& args, const Pair& pair, float sum, const float* value) {
  const float inverse = sum > 0 ? 1.0f / sum : 0.0f;
  with_type(args.out.type, [&](auto* type) {
    auto* out = static_cast<Pointee<decltype(type)>*>(args.out.x) + pair.row * args.out.stride +
                static_cast<int64_t>(pair.head) * args.value_dim;
    const F scale = set1(inverse);
    for_vectors(args.value_dim,
                [&](int i, int n) { store_some(out + i, load_some(value + i, n) * scale, n); });
  });
}

inline float* partial_of(const AttentionArgs& args, const AttentionItem& item, const Pair& pair,
                         int chunk) {
  const int64_t index = (pair.row * args.heads + pair.head) * item.chunks + chunk;
  return item.partial + index * (args.value_dim + 2);
}

// What the tiles of all caches have: the pairs, and the result of the chunks so far.
struct TileBase {
  const AttentionArgs* args;
  const AttentionItem* item;
  const int32_t* table;  // block ids of the sequence
  int32_t count;
  int value_stride;  // whole vectors
  Range keys;        // that any pair sees
  Pair pair[kAttentionTile];
  Sums sums[kAttentionTile / kMaxPairs];  // of each block
  alignas(64) float value[kAttentionTile * kRowDim];
};

inline void set_tile(const AttentionArgs& args, const AttentionItem& item, TileBase& tile) {
  tile.args = &args;
  tile.item = &item;
  tile.table = args.kv.table + static_cast<int64_t>(item.sequence) * args.kv.table_stride;
  tile.count = item.pair_end - item.pair_begin;
  tile.value_stride = (args.value_dim + kLanes - 1) / kLanes * kLanes;
  for (int i = 0; i < tile.count; ++i) {
    set_pair(args, item, item.pair_begin + i, tile.pair[i]);
    const Range keys = tile.pair[i].keys;
    tile.keys = i == 0 ? keys : unite(tile.keys, keys);
  }
  for (int i = 0; i < tile.count * tile.value_stride; i += kLanes) store(tile.value + i, zero());
}

// The keys of `chunk` that any of the pairs [first, first + count) sees.
inline Range block_keys(const TileBase& tile, int first, int count, int chunk) {
  Range keys = tile.pair[first].keys;
  for (int i = 1; i < count; ++i) keys = unite(keys, tile.pair[first + i].keys);
  return intersect(keys, {chunk * kAttentionChunk, (chunk + 1) * kAttentionChunk});
}

// A chunk's results of a block go to its pairs, or to the item's partial results.
inline void settle(TileBase& tile, int block, int first, int count, int chunk, const Sums& sums,
                   const float* values, int stride) {
  const AttentionArgs& args = *tile.args;
  if (tile.item->partial == nullptr) {
    return merge(tile.sums[block], tile.value + first * tile.value_stride, tile.value_stride, sums,
                 values, stride, count, args.value_dim);
  }
  for (int r = 0; r < count; ++r, values += stride) {
    float* to = partial_of(args, *tile.item, tile.pair[first + r], chunk);
    to[0] = sums.maximum[r];
    to[1] = sums.sum[r];
    __builtin_memcpy(to + 2, values, sizeof(float) * static_cast<size_t>(args.value_dim));
  }
}

// Walks an item's chunks and the blocks of at most Most pairs: run(b, first, constant, chunk, seen)
// computes what a block sees of a chunk and settles it. Nothing is left to write where the results
// are partial.
template <int Most, class Function>
[[gnu::always_inline]] inline void walk(TileBase& tile, Function&& run) {
  const AttentionItem& item = *tile.item;
  const int blocks = (tile.count + Most - 1) / Most;
  for (int b = 0; b < blocks; ++b) clear(tile.sums[b]);
  for (int chunk = item.chunk_begin; chunk < item.chunk_end; ++chunk) {
    for_blocks<Most>(tile.count, [&](int b, int first, auto* constant) {
      const Range seen = block_keys(tile, first, sizeof *constant, chunk);
      if (seen.begin < seen.end) run(b, first, constant, chunk, seen);
    });
  }
  if (item.partial != nullptr) return;
  for (int b = 0; b < blocks; ++b) {
    const int first = tile.count * b / blocks, end = tile.count * (b + 1) / blocks;
    for (int i = first; i < end; ++i) {
      write_pair(*tile.args, tile.pair[i], tile.sums[b].sum[i - first],
                 tile.value + i * tile.value_stride);
    }
  }
}

}  // namespace
}  // namespace tensormill
