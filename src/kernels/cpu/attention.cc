// Attention over the paged cache. Up to kAttentionTile pairs of (query row, head) that share a kv
// head read its keys and values together. Each chunk of kAttentionChunk keys at absolute positions
// has its own maximum and sum; chunks are merged in ascending order. A score is one chain over the
// head's elements, a value one chain over the chunk's keys, so a pair's bits depend neither on its
// neighbours in the tile nor on who merges. Keys that a pair doesn't see have weight 0. Levels that
// multiply pairs of bf16 do so where the cache is bf16: see attention_bf16.cc.

#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/attention_pair.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr int kValueVectors = 4;
#else
constexpr int kValueVectors = 2;
#endif
constexpr int kKeyVectors = 2;

template <class Cache>
struct Tile : TileBase {
  const Cache *k, *v;                                    // of the kv head
  alignas(64) float weight[kMaxPairs][kAttentionChunk];  // a block's scores, then weights
  alignas(64) float chunk[kMaxPairs][kRowDim];           // its values of this chunk
};

// weight[r][at + ...] = q . k of pair first + r for kKeyVectors vectors of keys of each of B
// blocks, which are kBlockTokens apart in the chunk. Few rows take several blocks: sums enough to
// fill the pipeline.
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
      store(tile.weight[r] + at + offset + b * kBlockTokens + v * kLanes, sum[r][b][v]);
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

// chunk[r][d ...] = sum of weight * v over the keys `seen` of the chunk that starts at `start`, for
// V vectors of elements from d; the last `n` lanes of a single vector are real.
template <int R, int V, class Cache>
void mix(Tile<Cache>& tile, Range seen, int start, int d, int n) {
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
    const float* weight = tile.weight[0] + (key - start);
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
    for (int v = 0; v < V; ++v) store(tile.chunk[r] + d + v * kLanes, sum[r][v]);
  }
}

template <int R, class Cache>
void mix_all(Tile<Cache>& tile, Range seen, int start) {
  const int dim = tile.args->value_dim;
  int d = 0;
  if constexpr (R == 1) {
    for (; d + 8 * kLanes <= dim; d += 8 * kLanes) mix<1, 8>(tile, seen, start, d, kLanes);
  }
  for (; d + kValueVectors * kLanes <= dim; d += kValueVectors * kLanes) {
    mix<R, kValueVectors>(tile, seen, start, d, kLanes);
  }
  for (; d < dim; d += kLanes) {
    mix<R, 1>(tile, seen, start, d, dim - d < kLanes ? dim - d : kLanes);
  }
}

template <int R, class Cache>
void run_block(Tile<Cache>& tile, int block, int first, int chunk, Range seen) {
  const AttentionArgs& args = *tile.args;
  const int start = chunk * kAttentionChunk, first_block = seen.begin / kBlockTokens;
  const Cache* blocks[kAttentionChunk / kBlockTokens];
  int count = 0;
  for (int b = first_block; b * kBlockTokens < seen.end; ++b) {
    blocks[count++] = tile.k + tile.table[b] * args.kv.k_stride.block;
  }
  dot_all<R>(tile, first, blocks, count, first_block * kBlockTokens - start);
  Sums sums;
  for (int r = 0; r < R; ++r) {
    soften(args.score, tile.pair[first + r], tile.weight[r], start, seen, sums.maximum[r],
           sums.sum[r]);
  }
  mix_all<R>(tile, seen, start);
  settle(tile, block, first, R, chunk, sums, tile.chunk[0], kRowDim);
}

template <class Cache>
void attend(const AttentionArgs& args, const AttentionItem& item) {
  const KvView& kv = args.kv;
  Tile<Cache> tile;  // left uninitialized: it is large
  set_tile(args, item, tile);
  tile.k = static_cast<const Cache*>(kv.k) + item.kv_head * kv.k_stride.head;
  tile.v = static_cast<const Cache*>(kv.v) + item.kv_head * kv.v_stride.head;
  walk<kMaxPairs>(tile, [&](int block, int first, auto* constant, int chunk, Range seen) {
    run_block<static_cast<int>(sizeof *constant)>(tile, block, first, chunk, seen);
  });
}

}  // namespace

void LEVEL(attention)(const AttentionArgs& args, const AttentionItem& item) {
  if (args.kv.type == DType::kI8) return LEVEL(attention_int8)(args, item);
#if defined(__AVX512BF16__)
  if (args.kv.type == DType::kBF16 && args.dim % 2 == 0) return LEVEL(attention_bf16)(args, item);
#endif
  with_type(args.kv.type, [&](auto* type) { attend<Pointee<decltype(type)>>(args, item); });
}

void LEVEL(attention_merge)(const AttentionArgs& args, const AttentionItem& item) {
  alignas(64) float value[kRowDim];
  for (int i = item.pair_begin; i < item.pair_end; ++i) {
    Pair pair;
    set_pair(args, item, i, pair);
    for (int d = 0; d < args.value_dim; d += kLanes) store(value + d, zero());
    Sums sums, one;
    clear(sums);
    clear(one);
    const int first = pair.keys.begin / kAttentionChunk;
    for (int chunk = first; chunk * kAttentionChunk < pair.keys.end; ++chunk) {
      const float* from = partial_of(args, item, pair, chunk);
      one.maximum[0] = from[0];
      one.sum[0] = from[1];
      merge(sums, value, 0, one, from + 2, 0, 1, args.value_dim);
    }
    write_pair(args, pair, sums.sum[0], value);
  }
}

}  // namespace tensormill
