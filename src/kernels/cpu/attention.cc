// Attention over the paged cache. Up to kAttentionTile pairs of (query row, head) that share a kv
// head read its keys and values together. Each chunk of kAttentionChunk keys at absolute positions
// has its own maximum and sum; chunks are merged in ascending order. A score is one chain over the
// head's elements, a value one chain over the chunk's keys, so a pair's bits depend neither on its
// neighbours in the tile nor on who merges. Keys that a pair doesn't see have weight 0.

#include "kernels/cpu/level.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr int kValueVectors = 4, kMaxPairs = 6;
#elif defined(__AVX2__)
constexpr int kValueVectors = 2, kMaxPairs = 6;
#else
constexpr int kValueVectors = 2, kMaxPairs = 3;
#endif
constexpr int kKeyVectors = 2;
constexpr int kFewBlocks = 4;              // that a single row takes at once
constexpr int kRowDim = kMaxHeadDim + 16;  // a row of values, whole vectors
constexpr float kNever = -__builtin_inff();

struct Range {
  int32_t begin, end;
};

// One pair's query, the keys it sees, and its running result.
struct Pair {
  const float* q;
  int64_t row;
  int32_t head, position;
  Range keys;
  Range hole;          // of `keys`, not seen: between a prefix and a window
  float slope;         // times bias_scale; bias_bf16: as bf16
  float own_bias;      // bias_bf16: the query's term
  float maximum, sum;  // of the chunks merged so far
};

template <class Cache>
struct Tile {
  const AttentionArgs* args;
  const Cache *k, *v;    // of the kv head
  const int32_t* table;  // block ids of the sequence
  int32_t count;
  Range keys;  // that any pair sees
  Pair pair[kAttentionTile];
  alignas(64) float weight[kAttentionTile][kAttentionChunk];  // scores, then their exponentials
  alignas(64) float chunk[kAttentionTile][kRowDim];           // this chunk's values
  alignas(64) float value[kAttentionTile][kRowDim];           // merged values
};

Range intersect(Range a, Range b) {
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
void set_keys(const Score& score, int32_t sequence, int32_t keys, Pair& pair) {
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

void set_slope(const Score& score, Pair& pair) {
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

void set_pair(const AttentionArgs& args, const AttentionItem& item, int index, Pair& pair) {
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
  pair.maximum = kNever;
  pair.sum = 0;
}

// weight[first + r][at + ...] = q . k for kKeyVectors vectors of keys of each of B blocks, which
// are kBlockTokens apart in the chunk. Few rows take several blocks: sums enough to fill the
// pipeline.
template <int R, int B, class Cache>
void dot(Tile<Cache>& tile, int first, const Cache* const* blocks, int offset, int at) {
  F sum[R][B][kKeyVectors];
  const float* q[R];
  const Cache* k[B];
#pragma GCC unroll 8
  for (int b = 0; b < B; ++b) k[b] = blocks[b] + offset;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    q[r] = tile.pair[first + r].q;
#pragma GCC unroll 8
    for (int i = 0; i < B * kKeyVectors; ++i) sum[r][i / kKeyVectors][i % kKeyVectors] = zero();
  }
  for (int d = 0; d < tile.args->dim; ++d) {
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) {
      F key[kKeyVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kKeyVectors; ++v) key[v] = load(k[b] + d * kBlockTokens + v * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const F query = set1(q[r][d]);
#pragma GCC unroll 8
        for (int v = 0; v < kKeyVectors; ++v) sum[r][b][v] = fma(key[v], query, sum[r][b][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < B * kKeyVectors; ++i) {
      const int b = i / kKeyVectors, v = i % kKeyVectors;
      store(tile.weight[first + r] + at + offset + b * kBlockTokens + v * kLanes, sum[r][b][v]);
    }
  }
}

// The same for `count` blocks that begin `at` keys into the chunk.
template <int R, class Cache>
void dot_all(Tile<Cache>& tile, int first, const Cache* const* blocks, int count, int at) {
  constexpr int kTogether = R == 1 ? kFewBlocks : R == 2 ? kFewBlocks / 2 : 1;
  int b = 0;
  for (; b + kTogether <= count; b += kTogether) {
    for (int offset = 0; offset < kBlockTokens; offset += kKeyVectors * kLanes) {
      dot<R, kTogether>(tile, first, blocks + b, offset, at + b * kBlockTokens);
    }
  }
  for (; b < count; ++b) {
    for (int offset = 0; offset < kBlockTokens; offset += kKeyVectors * kLanes) {
      dot<R, 1>(tile, first, blocks + b, offset, at + b * kBlockTokens);
    }
  }
}

// chunk[first + r][d ...] = sum of weight * v over the keys `seen` of the chunk that starts at
// `start`, for V vectors of elements from d; the last `n` lanes of a single vector are real.
template <int R, int V, class Cache>
void mix(Tile<Cache>& tile, int first, Range seen, int start, int d, int n) {
  F sum[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = zero();
  }
  const int dim = tile.args->value_dim;
  for (int key = seen.begin; key < seen.end;) {
    const int token = key % kBlockTokens;
    const int left = seen.end - key;
    const int count = kBlockTokens - token < left ? kBlockTokens - token : left;
    const int64_t block = tile.table[key / kBlockTokens] * tile.args->kv.v_stride.block;
    const Cache* from = tile.v + block + token * dim + d;
    const float* weight = tile.weight[first] + (key - start);
    for (int t = 0; t < count; ++t, from += dim, ++weight) {
      F value[V];
      if constexpr (V == 1) {
        value[0] = load_some(from, n);
      } else {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) value[v] = load(from + v * kLanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const F p = set1(weight[r * kAttentionChunk]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = fma(p, value[v], sum[r][v]);
      }
    }
    key += count;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(tile.chunk[first + r] + d + v * kLanes, sum[r][v]);
  }
}

template <int R, class Cache>
void mix_all(Tile<Cache>& tile, int first, Range seen, int start) {
  const int dim = tile.args->value_dim;
  int d = 0;
  if constexpr (R == 1) {
    for (; d + 8 * kLanes <= dim; d += 8 * kLanes) mix<1, 8>(tile, first, seen, start, d, kLanes);
  }
  for (; d + kValueVectors * kLanes <= dim; d += kValueVectors * kLanes) {
    mix<R, kValueVectors>(tile, first, seen, start, d, kLanes);
  }
  for (; d < dim; d += kLanes) {
    mix<R, 1>(tile, first, seen, start, d, dim - d < kLanes ? dim - d : kLanes);
  }
}

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

// The keys that a pair sees, without what its hole takes off either end.
Range seen_by(const Pair& pair, Range seen) {
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

// Turns one pair's scores of a chunk into weights; the chunk's maximum and sum.
void soften(const Score& score, Pair& pair, float* weight, int start, Range seen, float& maximum,
            float& sum) {
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
void merge(Pair& pair, float* value, float maximum, float sum, const float* chunk, int dim) {
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

void write_pair(const AttentionArgs& args, const Pair& pair, const float* value) {
  const float inverse = pair.sum > 0 ? 1.0f / pair.sum : 0.0f;
  with_type(args.out.type, [&](auto* type) {
    auto* out = static_cast<Pointee<decltype(type)>*>(args.out.x) + pair.row * args.out.stride +
                static_cast<int64_t>(pair.head) * args.value_dim;
    const F scale = set1(inverse);
    for_vectors(args.value_dim,
                [&](int i, int n) { store_some(out + i, load_some(value + i, n) * scale, n); });
  });
}

float* partial_of(const AttentionArgs& args, const AttentionItem& item, const Pair& pair,
                  int chunk) {
  const int64_t index = (pair.row * args.heads + pair.head) * item.chunks + chunk;
  return item.partial + index * (args.value_dim + 2);
}

template <class Cache>
void do_chunk(Tile<Cache>& tile, const AttentionItem& item, int chunk) {
  const AttentionArgs& args = *tile.args;
  const int start = chunk * kAttentionChunk;
  const Range seen = intersect(tile.keys, {start, start + kAttentionChunk});
  if (seen.begin >= seen.end) return;
  const Cache* blocks[kAttentionChunk / kBlockTokens];
  const int first_block = seen.begin / kBlockTokens;
  int count = 0;
  for (int b = first_block; b * kBlockTokens < seen.end; ++b) {
    blocks[count++] = tile.k + tile.table[b] * args.kv.k_stride.block;
  }
  for_pairs(tile.count, [&](int first, auto* constant) {
    dot_all<static_cast<int>(sizeof *constant)>(tile, first, blocks, count,
                                                first_block * kBlockTokens - start);
  });
  float maximum[kAttentionTile], sum[kAttentionTile];
  for (int i = 0; i < tile.count; ++i) {
    soften(args.score, tile.pair[i], tile.weight[i], start, seen, maximum[i], sum[i]);
  }
  for_pairs(tile.count, [&](int first, auto* constant) {
    mix_all<static_cast<int>(sizeof *constant)>(tile, first, seen, start);
  });
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

template <class Cache>
void attend(const AttentionArgs& args, const AttentionItem& item) {
  const KvView& kv = args.kv;
  Tile<Cache> tile;  // left uninitialized: it is large
  tile.args = &args;
  tile.k = static_cast<const Cache*>(kv.k) + item.kv_head * kv.k_stride.head;
  tile.v = static_cast<const Cache*>(kv.v) + item.kv_head * kv.v_stride.head;
  tile.table = kv.table + static_cast<int64_t>(item.sequence) * kv.table_stride;
  tile.count = item.pair_end - item.pair_begin;
  tile.keys = {0, 0};
  for (int i = 0; i < tile.count; ++i) {
    set_pair(args, item, item.pair_begin + i, tile.pair[i]);
    const Range keys = tile.pair[i].keys;
    if (i == 0 || keys.begin < tile.keys.begin) tile.keys.begin = keys.begin;
    if (i == 0 || keys.end > tile.keys.end) tile.keys.end = keys.end;
    for (int d = 0; d < args.value_dim; d += kLanes) store(tile.value[i] + d, zero());
  }
  for (int chunk = item.chunk_begin; chunk < item.chunk_end; ++chunk) do_chunk(tile, item, chunk);
  if (item.partial != nullptr) return;
  for (int i = 0; i < tile.count; ++i) write_pair(args, tile.pair[i], tile.value[i]);
}

}  // namespace

void LEVEL(attention)(const AttentionArgs& args, const AttentionItem& item) {
  with_type(args.kv.type, [&](auto* type) { attend<Pointee<decltype(type)>>(args, item); });
}

void LEVEL(attention_merge)(const AttentionArgs& args, const AttentionItem& item) {
  alignas(64) float value[kRowDim];
  for (int i = item.pair_begin; i < item.pair_end; ++i) {
    Pair pair;
    set_pair(args, item, i, pair);
    for (int d = 0; d < args.value_dim; d += kLanes) store(value + d, zero());
    const int first = pair.keys.begin / kAttentionChunk;
    for (int chunk = first; chunk * kAttentionChunk < pair.keys.end; ++chunk) {
      const float* from = partial_of(args, item, pair, chunk);
      merge(pair, value, from[0], from[1], from + 2, args.value_dim);
    }
    write_pair(args, pair, value);
  }
}

}  // namespace tensormill
