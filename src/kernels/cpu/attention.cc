// Attention over the paged cache. Up to kAttentionTile pairs of (query row, head) that share a kv
// head read its keys and values together. Each chunk of kAttentionChunk keys at absolute positions
// has its own maximum and sum; chunks are merged in ascending order. A score is one chain over the
// head's elements, a value one chain over the chunk's keys, so a pair's bits depend neither on its
// neighbours in the tile nor on who merges. Keys that a pair doesn't see have weight 0. Levels that
// multiply pairs of bf16 do so where the cache is bf16: see attention_bf16.h.

#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/attention_pair.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"
#if defined(__AVX512BF16__)
#include "kernels/cpu/attention_bf16.h"
#endif

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr int kValueVectors = 4;
#else
constexpr int kValueVectors = 2;
#endif
constexpr int kKeyVectors = 2;

template <class Cache>
struct Tile {
  const AttentionArgs* args;
  const Cache *k, *v;    // of the kv head
  const int32_t* table;  // block ids of the sequence
  int32_t count;
  Range keys;  // that any pair sees
  Pair pair[kAttentionTile];
  bool woven;  // products by pairs of bf16: rounded_q and rounded_weight are used
  alignas(64) Bf16 rounded_q[kAttentionTile][kMaxHeadDim];
  alignas(64) Bf16 rounded_weight[kAttentionTile][kAttentionChunk];
  alignas(64) float weight[kAttentionTile][kAttentionChunk];  // scores, then their exponentials
  alignas(64) float chunk[kAttentionTile][kRowDim];           // this chunk's values
  alignas(64) float value[kAttentionTile][kRowDim];           // merged values
};

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

#if defined(__AVX512BF16__)

template <class Cache>
constexpr bool kWeaves = false;
template <>
constexpr bool kWeaves<Bf16> = true;

void round_query(Tile<Bf16>& tile, int index) {
  for_vectors(tile.args->dim, [&](int i, int n) {
    store_rounded(tile.rounded_q[index] + i, load_some(tile.pair[index].q + i, n));
  });
}

template <int R>
void dot_all_woven(Tile<Bf16>& tile, int first, const Bf16* const* blocks, int count, int at) {
  constexpr int kTogether = R == 1 ? kFewBlocks : R == 2 ? kFewBlocks / 2 : 1;
  const Bf16* q[R];
  float* score[R];
  for (int r = 0; r < R; ++r) {
    q[r] = tile.rounded_q[first + r];
    score[r] = tile.weight[first + r] + at;
  }
  const auto run = [&](int b, auto* together) {
    constexpr int kBlocks = static_cast<int>(sizeof *together);
    dot_woven<R, kBlocks>(q, blocks + b, tile.args->dim, score);
    for (int r = 0; r < R; ++r) score[r] += kBlocks * kBlockTokens;
  };
  int b = 0;
  for (; b + kTogether <= count; b += kTogether) {
    run(b, static_cast<char(*)[kTogether]>(nullptr));
  }
  for (; b < count; ++b) run(b, static_cast<char(*)[1]>(nullptr));
}

// Values of P vectors of pairs from d on; with P == 1 the `real` ones.
template <int R, int P>
void mix_run(Tile<Bf16>& tile, int first, Range seen, int start, int d, __mmask32 real) {
  WovenSums<R, P> sums;
#pragma GCC unroll 8
  for (int i = 0; i < R * P; ++i) sums.low[i / P][i % P] = sums.high[i / P][i % P] = zero();
  const Bf16* weight[R];
  for (int r = 0; r < R; ++r) weight[r] = tile.rounded_weight[first + r];
  const int dim = tile.args->value_dim;
  for (int key = seen.begin / 2 * 2; key < seen.end;) {
    const int token = key % kBlockTokens, left = seen.end - key;
    const int count = kBlockTokens - token < left ? kBlockTokens - token : left;
    const int64_t block = tile.table[key / kBlockTokens] * tile.args->kv.v_stride.block;
    mix_woven(sums, weight, key - start, tile.v + block + token * dim + d, dim, count, real);
    key += count;
  }
#pragma GCC unroll 8
  for (int i = 0; i < R * P; ++i) {
    store_unwoven(tile.chunk[first + i / P] + d + i % P * kPairRow, sums.low[i / P][i % P],
                  sums.high[i / P][i % P]);
  }
}

template <int R>
void mix_all_woven(Tile<Bf16>& tile, int first, Range seen, int start) {
  const int dim = tile.args->value_dim;
  int d = 0;
  for (; d + 2 * kPairRow <= dim; d += 2 * kPairRow)
    mix_run<R, 2>(tile, first, seen, start, d, ~0u);
  for (; d < dim; d += kPairRow) {
    const int n = dim - d;
    mix_run<R, 1>(tile, first, seen, start, d, n < kPairRow ? (1u << n) - 1 : ~0u);
  }
}

#else

template <class Cache>
constexpr bool kWeaves = false;

#endif

#if defined(__AVX512BF16__)

// As soften(), with weights rounded to bf16 in `rounded`; their sum is of what they are then.
void soften_woven(const Score& score, const Pair& pair, float* weight, Bf16* rounded, int start,
                  Range seen, float& maximum, float& sum) {
  const Range own = seen_by(pair, seen);
  const bool any = own.begin < own.end;
  const int clear_end = (seen.end - start + kLanes - 1) / kLanes * kLanes;
  const int from = any ? (own.begin - start) / kLanes * kLanes : clear_end;
  const int to = any ? (own.end - start + kLanes - 1) / kLanes * kLanes : clear_end;
  for (int i = (seen.begin - start) / kLanes * kLanes; i < from; i += kLanes)
    store(rounded + i, zero());
  for (int i = to; i < clear_end; i += kLanes) store(rounded + i, zero());
  maximum = kNever;
  sum = 0;
  if (!any) return;
  const Terms terms = terms_of(score, pair);
  // The usual scores are scaled where they become weights.
  const bool plain = !terms.caps && !terms.slopes && score.scale > 0;
  F top = set1(kNever);
  for (int i = from; i < to; i += kLanes) {
    const int place = start + i;
    F x = load(weight + i);
    if (!plain) x = score_of(terms, x, place);
    const bool edge = place < own.begin || place + kLanes > own.end;
    if (edge) x = select(lanes_between(own.begin - place, own.end - place), x, set1(kNever));
    if (edge || !plain) store(weight + i, x);
    top = max(x, top);
  }
  if (pair.hole.begin < pair.hole.end) top = mask_hole(pair.hole, weight, start, {from, to});
  const float peak = reduce_max(top), unit = plain ? score.scale : 1.0f;
  maximum = peak * unit;
  const F shift = set1(peak), factor = set1(unit * 1.44269504f);
  F total = zero();
  for (int i = from; i < to; i += kLanes) {
    total = total + store_rounded(rounded + i, power_below((load(weight + i) - shift) * factor));
  }
  sum = reduce_add(total);
}

#endif

// The chunk's maxima and sums, and its values in tile.chunk. Some blocks begin `at` keys into it.
template <class Cache>
void run_chunk(Tile<Cache>& tile, const Cache* const* blocks, int count, int at, Range seen,
               int start, float* maximum, float* sum) {
  const Score& score = tile.args->score;
  if constexpr (kWeaves<Cache>) {
    if (tile.woven) {
      for_pairs(tile.count, [&](int first, auto* constant) {
        dot_all_woven<static_cast<int>(sizeof *constant)>(tile, first, blocks, count, at);
      });
      for (int i = 0; i < tile.count; ++i) {
        soften_woven(score, tile.pair[i], tile.weight[i], tile.rounded_weight[i], start, seen,
                     maximum[i], sum[i]);
      }
      return for_pairs(tile.count, [&](int first, auto* constant) {
        mix_all_woven<static_cast<int>(sizeof *constant)>(tile, first, seen, start);
      });
    }
  }
  for_pairs(tile.count, [&](int first, auto* constant) {
    dot_all<static_cast<int>(sizeof *constant)>(tile, first, blocks, count, at);
  });
  for (int i = 0; i < tile.count; ++i) {
    soften(score, tile.pair[i], tile.weight[i], start, seen, maximum[i], sum[i]);
  }
  for_pairs(tile.count, [&](int first, auto* constant) {
    mix_all<static_cast<int>(sizeof *constant)>(tile, first, seen, start);
  });
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
  const int at = first_block * kBlockTokens - start;
  float maximum[kAttentionTile], sum[kAttentionTile];
  run_chunk(tile, blocks, count, at, seen, start, maximum, sum);
  settle(tile, item, chunk, maximum, sum);
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
  tile.woven = kWeaves<Cache> && args.dim % 2 == 0;
  for (int i = 0; i < tile.count; ++i) {
    set_pair(args, item, item.pair_begin + i, tile.pair[i]);
    const Range keys = tile.pair[i].keys;
    if (i == 0 || keys.begin < tile.keys.begin) tile.keys.begin = keys.begin;
    if (i == 0 || keys.end > tile.keys.end) tile.keys.end = keys.end;
    for (int d = 0; d < args.value_dim; d += kLanes) store(tile.value[i] + d, zero());
    if constexpr (kWeaves<Cache>) {
      if (tile.woven) round_query(tile, i);
    }
  }
  for (int chunk = item.chunk_begin; chunk < item.chunk_end; ++chunk) do_chunk(tile, item, chunk);
  if (item.partial != nullptr) return;
  for (int i = 0; i < tile.count; ++i) write_pair(args, tile.pair[i], tile.value[i]);
}

}  // namespace

void LEVEL(attention)(const AttentionArgs& args, const AttentionItem& item) {
  if (args.kv.type == DType::kI8) return LEVEL(attention_int8)(args, item);
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
