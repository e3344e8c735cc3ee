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
constexpr int kMaxPairs = 6;
#else
constexpr int kMaxPairs = 3;
#endif
constexpr int kFewBlocks = 4;              // that a single row takes at once
constexpr int kRowDim = kMaxHeadDim + 16;  // a row of values, whole vectors

// Calls f<R>(first) for blocks of R <= kMaxPairs pairs that cover the tile.
template <class Function>
[[gnu::always_inline]] inline void for_pairs(int count, Function&& f) {
  const int blocks = (count + kMaxPairs - 1) / kMaxPairs;
  for (int b = 0; b < blocks; ++b) {
    const int first = count * b / blocks, size = count * (b + 1) / blocks - first;
    const auto call = [&](auto* constant) { f(first, constant); };
    switch (size) {
      case 1:
        call(static_cast<char(*)[1]>(nullptr));
        break;
      case 2:
        call(static_cast<char(*)[2]>(nullptr));
        break;
      case 3:
        call(static_cast<char(*)[3]>(nullptr));
        break;
#if defined(__AVX2__)
      case 4:
        call(static_cast<char(*)[4]>(nullptr));
        break;
      case 5:
        call(static_cast<char(*)[5]>(nullptr));
        break;
      default:
        call(static_cast<char(*)[6]>(nullptr));
        break;
#endif
    }
  }
}

// Turns one pair's scores of a chunk into weights; the chunk's maximum and sum.
inline void soften(const Score& score, Pair& pair, float* weight, int start, Range seen,
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

// Adds a chunk's result to a pair's. The one place where chunks meet.
inline void merge(Pair& pair, float* value, float maximum, float sum, const float* chunk, int dim) {
  if (sum == 0) return;  // the pair sees none of its keys
  const float top = maximum > pair.maximum ? maximum : pair.maximum;
  const float keep = first_of(exp(set1(pair.maximum - top)));
  const float take = first_of(exp(set1(maximum - top)));
  pair.sum = pair.sum * keep + sum * take;
  pair.maximum = top;
  const F a = set1(keep), b = set1(take);
  for_vectors(dim, [&](int i, int n) {
    store_some(value + i, fma(load_some(chunk + i, n), b, load_some(value + i, n) * a), n);
  });
}

inline void write_pair(const AttentionArgs& args, const Pair& pair, const float* value) {
  const float inverse = pair.sum > 0 ? 1.0f / pair.sum : 0.0f;
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

// A chunk's results go to the pairs, or to the item's partial results.
template <class Tile>
void settle(Tile& tile, const AttentionItem& item, int chunk, const float* maximum,
            const float* sum) {
  const AttentionArgs& args = *tile.args;
  for (int i = 0; i < tile.count; ++i) {
    if (item.partial == nullptr) {
      merge(tile.pair[i], tile.value[i], maximum[i], sum[i], tile.chunk[i], args.value_dim);
      continue;
    }
    float* to = partial_of(args, item, tile.pair[i], chunk);
    to[0] = maximum[i];
    to[1] = sum[i];
    __builtin_memcpy(to + 2, tile.chunk[i], sizeof(float) * static_cast<size_t>(args.value_dim));
  }
}

}  // namespace
}  // namespace tensormill
