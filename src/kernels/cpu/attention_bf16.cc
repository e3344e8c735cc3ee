// Attention's products where the cache is bf16 and the level multiplies pairs of bf16: queries and
// weights are rounded to bf16, a score is one chain over the head's elements in pairs, a value one
// chain over the chunk's keys in pairs that begin at even places. Two rows of the cache are
// interleaved in registers, so that the cache looks the same for every level. All else is as in
// attention.cc.

#if defined(__AVX512BF16__)

#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/attention_pair.h"
#include "kernels/cpu/attention_power.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

using Products = __m512bh;
constexpr int kMost = 12;  // pairs of a block: 24 vectors of sums
constexpr int kFew = 6;    // of one whose values are read whole, at once
constexpr int kChunkBlocks = kAttentionChunk / kBlockTokens;
static_assert(kBlockTokens == kPairRow);

struct Tile : TileBase {
  const Bf16 *k, *v;                                 // of the kv head
  int fetched_end;                                   // of the item's keys
  int q_stride;                                      // whole vectors
  alignas(64) Bf16 q[kAttentionTile * kMaxHeadDim];  // rounded
  alignas(64) float score[kMost * kAttentionChunk];  // of a block and a chunk
  alignas(64) Bf16 weight[kMost * kAttentionChunk];
  alignas(64) float chunk[kMost * (kRowDim + kLanes)];  // the block's values of this chunk
};

[[gnu::always_inline]] inline F dot_pairs(F sum, I a, I b) {
  return _mm512_dpbf16_ps(sum, bits_as<Products>(a), bits_as<Products>(b));
}

// Values [0, kPairRow) of two rows in pairs. Each vector has four of every eight.
struct Woven {
  I low, high;
};
[[gnu::always_inline]] inline Woven weave(I even, I odd) {
  return {_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd)};
}

// What was summed over woven rows, in the order of the rows' values.
[[gnu::always_inline]] inline void store_unwoven(float* to, F low, F high) {
  const I first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const I second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  store(to, _mm512_permutex2var_ps(low, first, high));
  store(to + kLanes, _mm512_permutex2var_ps(low, second, high));
}

// A pair of neighbours in all lanes.
[[gnu::always_inline]] inline I pair_at(const Bf16* from) {
  int32_t pair;
  __builtin_memcpy(&pair, from, sizeof pair);
  return _mm512_set1_epi32(pair);
}

// Few rows wait for memory: what they need next is fetched while they compute. The hardware alone
// stops at the end of each block.
template <int R>
constexpr bool kFetches = R <= kFew;
[[gnu::always_inline]] inline void fetch(const Bf16* from) {
  __builtin_prefetch(from, 0, 2);
}

// The scores of rows first ... with the keys of B blocks, which go to score[r][at ...]. `values`:
// the blocks whose values follow.
template <int R, int B>
void dot(Tile& tile, int first, const Bf16* const* blocks, const Bf16* const* values, int at) {
  F low[R][B], high[R][B];
#pragma GCC unroll 16
  for (int i = 0; i < R * B; ++i) low[i / B][i % B] = high[i / B][i % B] = zero();
  const int stride = tile.q_stride, dim = tile.args->dim;
  const Bf16* q = tile.q + first * stride;
  const Bf16 *k[B], *v[B];
#pragma GCC unroll 16
  for (int b = 0; b < B; ++b) {
    k[b] = blocks[b];
    v[b] = values[b];
  }
  for (int d = 0; d < dim; d += 2, q += 2) {
#pragma GCC unroll 16
    for (int b = 0; b < B; ++b, k[b - 1] += 2 * kBlockTokens) {
      const Woven key = weave(_mm512_loadu_si512(k[b]), _mm512_loadu_si512(k[b] + kBlockTokens));
      if constexpr (kFetches<R>) {
        fetch(v[b] + d * kBlockTokens);
        fetch(v[b] + (d + 1) * kBlockTokens);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const I query = pair_at(q + r * stride);
        low[r][b] = dot_pairs(low[r][b], key.low, query);
        high[r][b] = dot_pairs(high[r][b], key.high, query);
      }
    }
  }
  float* to = tile.score + at;
#pragma GCC unroll 16
  for (int i = 0; i < R * B; ++i) {
    store_unwoven(to + i / B * kAttentionChunk + i % B * kBlockTokens, low[i / B][i % B],
                  high[i / B][i % B]);
  }
}

// The same for `count` blocks. Few rows take several at once: sums enough to fill the pipeline.
template <int R>
void dot_all(Tile& tile, int first, const Bf16* const* blocks, const Bf16* const* values, int count,
             int at) {
  constexpr int kTogether = R < 4 ? kFewBlocks / R : 1;
  int b = 0;
  if constexpr (kTogether > 1) {
    for (; b + kTogether <= count; b += kTogether) {
      dot<R, kTogether>(tile, first, blocks + b, values + b, at + b * kBlockTokens);
    }
  }
  for (; b < count; ++b) dot<R, 1>(tile, first, blocks + b, values + b, at + b * kBlockTokens);
}

// Turns a row's scores of a chunk into weights rounded to bf16, zero where the pair doesn't see;
// their maximum, and their sum as they are then. `at`: places in the chunk, whole blocks.
void soften_rounded(const Score& score, const Pair& pair, float* scores, Bf16* weight, int start,
                    Range at, float& maximum, float& sum) {
  const Range own = seen_by(pair, {start + at.begin, start + at.end});
  maximum = kNever;
  sum = 0;
  if (own.begin >= own.end) {
    for (int i = at.begin; i < at.end; i += kPairRow) {
      _mm512_storeu_si512(weight + i, _mm512_setzero_si512());
    }
    return;
  }
  const Powers powers = powers_of(score, pair, scores, start, own, at);
  maximum = powers.maximum;
  const I ones = _mm512_set1_epi32(0x3f803f80);
  F total = zero();
  for (int i = at.begin; i < at.end; i += kPairRow) {
    const F x = power_of(powers, load(scores + i));
    const F y = power_of(powers, load(scores + i + kLanes));
    const I rounded = bits_as<I>(_mm512_cvtne2ps_pbh(y, x));
    _mm512_storeu_si512(weight + i, rounded);
    total = dot_pairs(total, rounded, ones);
  }
  sum = reduce_add(total);
}

// P vectors of a row from `from`; with P == 1 the lanes in `real` alone.
template <int P>
[[gnu::always_inline]] inline I value_row(const Bf16* from, int p, __mmask32 real) {
  if constexpr (P > 1) return _mm512_loadu_si512(from + p * kPairRow);
  return _mm512_maskz_loadu_epi16(real, from);
}

// chunk[r][d ...] = sum of weight * v over the keys `seen`, for P vectors of elements from d on;
// with P == 1 the `real` ones. Behind an odd count stands a row that isn't read.
template <int R, int P>
void mix(Tile& tile, int stride, Range seen, int start, int d, __mmask32 real) {
  F low[R][P], high[R][P];
#pragma GCC unroll 32
  for (int i = 0; i < R * P; ++i) low[i / P][i % P] = high[i / P][i % P] = zero();
  const int dim = tile.args->value_dim;
  for (int key = seen.begin / 2 * 2; key < seen.end;) {
    const int token = key % kBlockTokens, left = seen.end - key;
    const int count = kBlockTokens - token < left ? kBlockTokens - token : left;
    const int64_t block = tile.table[key / kBlockTokens] * tile.args->kv.v_stride.block;
    const Bf16* from = tile.v + block + token * dim + d;
    const Bf16* weight = tile.weight + (key - start);
    const int next = key - token + kAttentionChunk;
    const Bf16* later = from;  // the keys of the next chunk's block
    if (kFetches<R> && next < tile.fetched_end) {
      later = tile.k + tile.table[next / kBlockTokens] * tile.args->kv.k_stride.block;
    }
    for (int t = 0; t < count; t += 2, from += 2 * dim, weight += 2) {
      Woven value[P];
      if constexpr (kFetches<R>) {
#pragma GCC unroll 8
        for (int p = 0; p < 2 * P; ++p) fetch(later + t * dim + d * 2 + p * kPairRow);
      }
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        const I even = value_row<P>(from, p, real);
        const I odd = t + 1 < count ? value_row<P>(from + dim, p, real) : _mm512_setzero_si512();
        value[p] = weave(even, odd);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const I pair = pair_at(weight + r * kAttentionChunk);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
          low[r][p] = dot_pairs(low[r][p], value[p].low, pair);
          high[r][p] = dot_pairs(high[r][p], value[p].high, pair);
        }
      }
    }
    key += count;
  }
#pragma GCC unroll 32
  for (int i = 0; i < R * P; ++i) {
    store_unwoven(tile.chunk + i / P * stride + d + i % P * kPairRow, low[i / P][i % P],
                  high[i / P][i % P]);
  }
}

template <int R>
void mix_all(Tile& tile, int stride, Range seen, int start) {
  const int dim = tile.args->value_dim;
  int d = 0;
  if constexpr (R <= kFew) {
    for (; d + 2 * kPairRow <= dim; d += 2 * kPairRow) {
      mix<R, 2>(tile, stride, seen, start, d, ~0u);
    }
  }
  for (; d < dim; d += kPairRow) {
    const int n = dim - d;
    mix<R, 1>(tile, stride, seen, start, d, n < kPairRow ? (1u << n) - 1 : ~0u);
  }
}

template <int R>
void run_block(Tile& tile, int block, int first, int chunk, Range seen) {
  const AttentionArgs& args = *tile.args;
  const int start = chunk * kAttentionChunk, first_block = seen.begin / kBlockTokens;
  const Bf16 *blocks[kChunkBlocks], *values[kChunkBlocks];
  int count = 0;
  for (int b = first_block; b * kBlockTokens < seen.end; ++b) {
    blocks[count] = tile.k + tile.table[b] * args.kv.k_stride.block;
    values[count++] = tile.v + tile.table[b] * args.kv.v_stride.block;
  }
  const int begin = first_block * kBlockTokens - start;
  const Range at{begin, begin + count * kBlockTokens};
  dot_all<R>(tile, first, blocks, values, count, begin);
  Sums sums;
  for (int r = 0; r < R; ++r) {
    soften_rounded(args.score, tile.pair[first + r], tile.score + r * kAttentionChunk,
                   tile.weight + r * kAttentionChunk, start, at, sums.maximum[r], sums.sum[r]);
  }
  const int stride = (args.value_dim + kPairRow - 1) / kPairRow * kPairRow;
  mix_all<R>(tile, stride, seen, start);
  settle(tile, block, first, R, chunk, sums, tile.chunk, stride);
}

void round_queries(Tile& tile) {
  const int dim = tile.args->dim;
  tile.q_stride = (dim + kLanes - 1) / kLanes * kLanes;
  for (int i = 0; i < tile.count; ++i) {
    Bf16* to = tile.q + i * tile.q_stride;
    for_vectors(dim, [&](int d, int n) {
      const __m256bh rounded = _mm512_cvtneps_pbh(load_some(tile.pair[i].q + d, n));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d), bits_as<__m256i>(rounded));
    });
  }
}

}  // namespace

void LEVEL(attention_bf16)(const AttentionArgs& args, const AttentionItem& item) {
  const KvView& kv = args.kv;
  Tile tile;  // left uninitialized: it is large
  set_tile(args, item, tile);
  tile.k = static_cast<const Bf16*>(kv.k) + item.kv_head * kv.k_stride.head;
  tile.v = static_cast<const Bf16*>(kv.v) + item.kv_head * kv.v_stride.head;
  const int end = item.chunk_end * kAttentionChunk;
  tile.fetched_end = tile.keys.end < end ? tile.keys.end : end;
  round_queries(tile);
  const auto run = [&](int block, int first, auto* constant, int chunk, Range seen) {
    run_block<static_cast<int>(sizeof *constant)>(tile, block, first, chunk, seen);
  };
  if (tile.count < kMost) return walk<kFew>(tile, run);
  walk<kMost>(tile, run);
}

}  // namespace tensormill

#endif
