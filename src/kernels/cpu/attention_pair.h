#pragma once

// A pair of a query row and a head: which keys it sees, and how products become scores.

#include "kernels/cpu/level.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr float kNever = -__builtin_inff();

struct Range {
  int32_t begin, end;
};

// One pair's query, and the keys it sees.
struct Pair {
  const float* q;
  int64_t row;
  int32_t head, position;
  Range keys;
  Range hole;      // of `keys`, not seen: between a prefix and a window
  float slope;     // times bias_scale; bias_bf16: as bf16
  float own_bias;  // bias_bf16: the query's term
};

inline Range unite(Range a, Range b) {
  return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}
inline Range intersect(Range a, Range b) {
  return {a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end};
}

// The value as bf16.
[[gnu::always_inline]] inline F rounded(F x) {
  Bf16 some[kLanes];
  store(some, x);
  return load(some);
}

// The terms of places in bias_bf16.
[[gnu::always_inline]] inline F rounded_bias(float slope, F place) {
  return rounded(set1(slope) * rounded(place));
}

[[gnu::always_inline]] inline float first_of(F x) {
  float all[kLanes];
  store(all, x);
  return all[0];
}

// The keys that the pair sees, as `keys` without `hole`.
inline void set_keys(const Score& score, int32_t sequence, int32_t keys, Pair& pair) {
  int32_t prefix = score.prefix == nullptr ? 0 : score.prefix[sequence];
  if (prefix > keys) prefix = keys;
  pair.keys = {0, score.causal ? pair.position + 1 : keys};
  if (prefix > pair.keys.end) pair.keys.end = prefix;
  pair.hole = {0, 0};
  if (score.window == 0 || pair.position < score.window) return;
  const int32_t begin = pair.position - score.window + 1;
  if (prefix > 0) {
    pair.hole = {prefix, begin};
  } else {
    pair.keys.begin = begin;
  }
}

inline void set_slope(const Score& score, Pair& pair) {
  pair.slope = pair.own_bias = 0;
  if (score.slopes == nullptr) return;
  pair.slope = score.slopes[pair.head];
  if (score.bias_bf16) {
    pair.slope = first_of(rounded(set1(pair.slope)));
    pair.own_bias = first_of(rounded_bias(pair.slope, set1(static_cast<float>(pair.position))));
  } else {
    pair.slope *= score.bias_scale;
  }
}

inline void set_pair(const AttentionArgs& args, const AttentionItem& item, int index, Pair& pair) {
  const int group = args.heads / args.kv_heads;
  const int32_t first = args.row_begin[item.sequence];
  const int32_t rows = args.row_begin[item.sequence + 1] - first;
  const int32_t keys = args.keys[item.sequence];
  pair.row = first + index / group;
  pair.head = item.kv_head * group + index % group;
  pair.q = static_cast<const float*>(args.q.x) + pair.row * args.q.stride +
           static_cast<int64_t>(pair.head) * args.dim;
  pair.position = keys - rows + index / group;
  set_keys(args.score, item.sequence, keys, pair);
  set_slope(args.score, pair);
}

// The keys that a pair sees, without what its hole takes off either end.
inline Range seen_by(const Pair& pair, Range seen) {
  Range own = intersect(pair.keys, seen);
  const Range hole = intersect(pair.hole, own);
  if (hole.begin >= hole.end) return own;
  if (hole.begin == own.begin) {
    own.begin = hole.end;
  } else if (hole.end == own.end) {
    own.end = hole.begin;
  }
  return own;
}

// What makes one pair's scores, held in registers: a copy, which no store can change.
struct Terms {
  F scale, cap, lane;
  float slope, own_bias, bias_scale;
  int position;
  bool caps, slopes, bias_bf16;
};

[[gnu::always_inline]] inline Terms terms_of(const Score& score, const Pair& pair) {
  alignas(64) float lane[kLanes];
  for (int i = 0; i < kLanes; ++i) lane[i] = static_cast<float>(i);
  return {set1(score.scale),       set1(score.softcap), load(lane),    pair.slope,
          pair.own_bias,           score.bias_scale,    pair.position, score.softcap > 0,
          score.slopes != nullptr, score.bias_bf16};
}

// The scores of keys [place, place + kLanes), from the products q . k.
[[gnu::always_inline]] inline F score_of(const Terms& terms, F product, int place) {
  F x = product * terms.scale;
  if (terms.caps) x = terms.cap * tanh(x / terms.cap);
  if (!terms.slopes) return x;
  if (!terms.bias_bf16) {
    const F distance = set1(static_cast<float>(place - terms.position)) + terms.lane;
    return fma(set1(terms.slope), distance, x);
  }
  const F bias = rounded_bias(terms.slope, set1(static_cast<float>(place)) + terms.lane);
  return fma(set1(terms.bias_scale), bias - set1(terms.own_bias), x);
}

// Takes the hole's keys out of the scores [at.begin, at.end) of a chunk; their maxima in the lanes.
[[gnu::always_inline]] inline F mask_hole(Range hole, float* weight, int start, Range at) {
  F top = set1(kNever);
  for (int i = at.begin; i < at.end; i += kLanes) {
    const Mask out = lanes_between(hole.begin - start - i, hole.end - start - i);
    const F x = select(out, set1(kNever), load(weight + i));
    store(weight + i, x);
    top = max(x, top);
  }
  return top;
}

}  // namespace
}  // namespace tensormill
