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
  float slope;
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

void set_pair(const AttentionArgs& args, const AttentionItem& item, int index, Pair& pair) {
  const int group = args.heads / args.kv_heads;
  const int32_t first = args.row_begin[item.sequence];
  const int32_t rows = args.row_begin[item.sequence + 1] - first;
  const int32_t keys = args.keys[item.sequence];
  pair.row = first + index / group;
  pair.head = item.kv_head * group + index % group;
  pair.q = args.q + pair.row * args.q_stride + static_cast<int64_t>(pair.head) * args.dim;
  pair.position = keys - rows + index / group;
  const Score& score = args.score;
  pair.keys = {0, score.causal ? pair.position + 1 : keys};
  if (score.window > 0 && pair.position >= score.window) {
    pair.keys.begin = pair.position - score.window + 1;
  }
  pair.slope = score.slopes == nullptr ? 0 : score.slopes[pair.head];
  pair.maximum = kNever;
  pair.sum = 0;
}

// weight[first + r][at + ...] = q . k for kKeyVectors vectors of keys of one block.
template <int R, class Cache>
void dot(Tile<Cache>& tile, int first, const Cache* k, int at) {
  F sum[R][kKeyVectors];
  const float* q[R];
  for (int r = 0; r < R; ++r) {
    q[r] = tile.pair[first + r].q;
    for (int v = 0; v < kKeyVectors; ++v) sum[r][v] = zero();
  }
  for (int d = 0; d < tile.args->dim; ++d, k += kBlockTokens) {
    F key[kKeyVectors];
    for (int v = 0; v < kKeyVectors; ++v) key[v] = load(k + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const F query = set1(q[r][d]);
      for (int v = 0; v < kKeyVectors; ++v) sum[r][v] = fma(key[v], query, sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < kKeyVectors; ++v)
      store(tile.weight[first + r] + at + v * kLanes, sum[r][v]);
  }
}

// chunk[first + r][d ...] = sum of weight * v over the keys `seen` of the chunk that starts at
// `start`, for V vectors of elements from d; the last `n` lanes of a single vector are real.
template <int R, int V, class Cache>
void mix(Tile<Cache>& tile, int first, Range seen, int start, int d, int n) {
  F sum[R][V];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) sum[r][v] = zero();
  }
  const int dim = tile.args->dim;
  for (int key = seen.begin; key < seen.end;) {
    const int token = key % kBlockTokens;
    const int left = seen.end - key;
    const int count = kBlockTokens - token < left ? kBlockTokens - token : left;
    const int64_t block = tile.table[key / kBlockTokens] * tile.args->kv.block_stride;
    const Cache* from = tile.v + block + token * dim + d;
    const float* weight = tile.weight[first] + (key - start);
    for (int t = 0; t < count; ++t, from += dim, ++weight) {
      F value[V];
      if constexpr (V == 1) {
        value[0] = load_some(from, n);
      } else {
        for (int v = 0; v < V; ++v) value[v] = load(from + v * kLanes);
      }
      for (int r = 0; r < R; ++r) {
        const F p = set1(weight[r * kAttentionChunk]);
        for (int v = 0; v < V; ++v) sum[r][v] = fma(p, value[v], sum[r][v]);
      }
    }
    key += count;
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) store(tile.chunk[first + r] + d + v * kLanes, sum[r][v]);
  }
}

template <int R, class Cache>
void mix_all(Tile<Cache>& tile, int first, Range seen, int start) {
  const int dim = tile.args->dim;
  int d = 0;
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

// Turns one pair's scores of a chunk into weights; the chunk's maximum and sum.
void soften(const Score& score, Pair& pair, float* weight, int start, Range seen, float& maximum,
            float& sum) {
  const Range own = intersect(pair.keys, seen);
  const int clear_end = (seen.end - start + kLanes - 1) / kLanes * kLanes;
  const int from = own.begin < own.end ? (own.begin - start) / kLanes * kLanes : clear_end;
  const int to = own.begin < own.end ? (own.end - start + kLanes - 1) / kLanes * kLanes : clear_end;
  for (int i = (seen.begin - start) / kLanes * kLanes; i < from; i += kLanes)
    store(weight + i, zero());
  for (int i = to; i < clear_end; i += kLanes) store(weight + i, zero());
  maximum = kNever;
  sum = 0;
  if (own.begin >= own.end) return;
  alignas(64) float lane[kLanes];
  for (int i = 0; i < kLanes; ++i) lane[i] = static_cast<float>(i);
  const F scale = set1(score.scale), cap = set1(score.softcap), slope = set1(pair.slope);
  const F never = set1(kNever);
  F top = never;
  for (int i = from; i < to; i += kLanes) {
    F x = load(weight + i) * scale;
    if (score.softcap > 0) x = cap * tanh(x / cap);
    if (score.slopes != nullptr) {
      x = fma(slope, set1(static_cast<float>(start + i - pair.position)) + load(lane), x);
    }
    x = select(lanes_between(own.begin - start - i, own.end - start - i), x, never);
    store(weight + i, x);
    top = max(x, top);
  }
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

float exp_one(float x) {
  float all[kLanes];
  store(all, exp(set1(x)));
  return all[0];
}

// Adds a chunk's result to a pair's. The one place where chunks meet.
void merge(Pair& pair, float* value, float maximum, float sum, const float* chunk, int dim) {
  if (sum == 0) return;  // the pair sees none of its keys
  const float top = maximum > pair.maximum ? maximum : pair.maximum;
  const float keep = exp_one(pair.maximum - top), take = exp_one(maximum - top);
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
                static_cast<int64_t>(pair.head) * args.dim;
    const F scale = set1(inverse);
    for_vectors(args.dim,
                [&](int i, int n) { store_some(out + i, load_some(value + i, n) * scale, n); });
  });
}

float* partial_of(const AttentionArgs& args, const AttentionItem& item, const Pair& pair,
                  int chunk) {
  const int64_t index = (pair.row * args.heads + pair.head) * item.chunks + chunk;
  return item.partial + index * (args.dim + 2);
}

template <class Cache>
void do_chunk(Tile<Cache>& tile, const AttentionItem& item, int chunk) {
  const AttentionArgs& args = *tile.args;
  const int start = chunk * kAttentionChunk;
  const Range seen = intersect(tile.keys, {start, start + kAttentionChunk});
  if (seen.begin >= seen.end) return;
  const int first_block = seen.begin / kBlockTokens;
  for (int b = first_block; b * kBlockTokens < seen.end; ++b) {
    const Cache* k = tile.k + tile.table[b] * args.kv.block_stride;
    for (int at = 0; at < kBlockTokens; at += kKeyVectors * kLanes) {
      for_pairs(tile.count, [&](int first, auto* constant) {
        dot<static_cast<int>(sizeof *constant)>(tile, first, k + at, b * kBlockTokens - start + at);
      });
    }
  }
  float maximum[kAttentionTile], sum[kAttentionTile];
  for (int i = 0; i < tile.count; ++i) {
    soften(args.score, tile.pair[i], tile.weight[i], start, seen, maximum[i], sum[i]);
  }
  for_pairs(tile.count, [&](int first, auto* constant) {
    mix_all<static_cast<int>(sizeof *constant)>(tile, first, seen, start);
  });
  for (int i = 0; i < tile.count; ++i) {
    if (item.partial == nullptr) {
      merge(tile.pair[i], tile.value[i], maximum[i], sum[i], tile.chunk[i], args.dim);
      continue;
    }
    float* to = partial_of(args, item, tile.pair[i], chunk);
    to[0] = maximum[i];
    to[1] = sum[i];
    __builtin_memcpy(to + 2, tile.chunk[i], sizeof(float) * static_cast<size_t>(args.dim));
  }
}

template <class Cache>
void attend(const AttentionArgs& args, const AttentionItem& item) {
  const KvView& kv = args.kv;
  const int64_t head = item.kv_head * kv.head_stride;
  Tile<Cache> tile;  // left uninitialized: it is large
  tile.args = &args;
  tile.k = static_cast<const Cache*>(kv.k) + head;
  tile.v = static_cast<const Cache*>(kv.v) + head;
  tile.table = kv.table + static_cast<int64_t>(item.sequence) * kv.table_stride;
  tile.count = item.pair_end - item.pair_begin;
  tile.keys = {0, 0};
  for (int i = 0; i < tile.count; ++i) {
    set_pair(args, item, item.pair_begin + i, tile.pair[i]);
    const Range keys = tile.pair[i].keys;
    if (i == 0 || keys.begin < tile.keys.begin) tile.keys.begin = keys.begin;
    if (i == 0 || keys.end > tile.keys.end) tile.keys.end = keys.end;
    for (int d = 0; d < args.dim; d += kLanes) store(tile.value[i] + d, zero());
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
    for (int d = 0; d < args.dim; d += kLanes) store(value + d, zero());
    const int first = pair.keys.begin / kAttentionChunk;
    for (int chunk = first; chunk * kAttentionChunk < pair.keys.end; ++chunk) {
      const float* from = partial_of(args, item, pair, chunk);
      merge(pair, value, from[0], from[1], from + 2, args.dim);
    }
    write_pair(args, pair, value);
  }
}

}  // namespace tensormill
