// Attention on a cache in 8 bits (KvView, kI8), read as it lies. A query becomes multipliers of 15
// bits with one scale, a chunk's weights, each times its token's scale, too: their rounding is far
// below that of the cache. Sums of products are exact integers; all else is as in attention.cc.

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/attention_chunk.h"
#include "kernels/cpu/attention_pair.h"
#if defined(__AVX512F__)
#include "kernels/cpu/attention_power.h"
#endif
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr int kByteVectors = 2;  // of keys or of values, for each pair at once
#else
constexpr int kByteVectors = 1;
#endif
constexpr int kParts = Products::kParts;
constexpr int kChunkBlocks = kAttentionChunk / kBlockTokens;

// A chunk's blocks of the kv head.
struct ChunkBlocks {
  int count, at;  // the first begins so many keys into the chunk
  const uint8_t *k[kChunkBlocks], *v[kChunkBlocks];
  const float *k_scale[kChunkBlocks], *v_scale[kChunkBlocks];
};

struct Tile : TileBase {
  const uint8_t *k, *v;  // of the kv head
  bool fetches;          // few rows, which wait for memory
  Multipliers<kRowDim> q[kAttentionTile];
  Multipliers<kAttentionChunk> p[kMaxPairs];
  alignas(64) float weight[kMaxPairs][kAttentionChunk];  // a block's scores, then weights
  alignas(64) float chunk[kMaxPairs][kRowDim];           // its values of this chunk
};

// Where the processor takes a thread's whole share of the memory's pace, what is needed next is
// fetched while it computes: the values beside the keys, the next chunk's keys beside the values.
[[gnu::always_inline]] inline void fetch(const uint8_t* from) {
  __builtin_prefetch(from, 0, 2);
}

// weight[r][...] = q . k of pair first + r for kByteVectors vectors of keys, from `offset` on, of
// each of B blocks from `block` on.
template <int R, int B>
void dot(Tile& tile, int first, const ChunkBlocks& blocks, int block, int offset) {
  constexpr int kBytes = kLanes * kFour;
  Ints sum[R][B][kByteVectors][kParts];
#pragma GCC unroll 32
  for (int i = 0; i < R * B * kByteVectors * kParts; ++i) {
    sum[i / (B * kByteVectors * kParts)][i / (kByteVectors * kParts) % B][i / kParts % kByteVectors]
       [i % kParts] = Ints{};
  }
  const int fours = (tile.args->dim + kFour - 1) / kFour;
  int64_t at = int64_t{offset} * kFour;
  for (int d = 0; d < fours; ++d, at += kBlockTokens * kFour) {
#pragma GCC unroll 16
    for (int b = 0; b < B; ++b) {
      Products::Bytes key[kByteVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kByteVectors; ++v) {
        key[v] = Products::load(blocks.k[block + b] + at + v * kBytes);
        if (tile.fetches) fetch(blocks.v[block + b] + at + v * kBytes);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const auto& q = tile.q[first + r];
        const Products::Four four = Products::four(q.first + d, q.second + d);
#pragma GCC unroll 16
        for (int v = 0; v < kByteVectors; ++v) add_products(sum[r][b][v], key[v], four);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const auto& q = tile.q[first + r];
    float* to = tile.weight[r] + blocks.at + block * kBlockTokens + offset;
#pragma GCC unroll 16
    for (int i = 0; i < B * kByteVectors; ++i) {
      const int b = i / kByteVectors, v = i % kByteVectors;
      const F scale = load(blocks.k_scale[block + b] + offset + v * kLanes) * set1(q.scale);
      store(to + b * kBlockTokens + v * kLanes,
            to_floats(Products::whole(sum[r][b][v]) + q.start) * scale);
    }
  }
}

template <int R>
void dot_all(Tile& tile, int first, const ChunkBlocks& blocks) {
  constexpr int kTogether = R == 1 ? kFewBlocks : R == 2 ? kFewBlocks / 2 : 1;
  int b = 0;
  for (; b + kTogether <= blocks.count; b += kTogether) {
    for (int offset = 0; offset < kBlockTokens; offset += kByteVectors * kLanes) {
      dot<R, kTogether>(tile, first, blocks, b, offset);
    }
  }
  for (; b < blocks.count; ++b) {
    for (int offset = 0; offset < kBlockTokens; offset += kByteVectors * kLanes) {
      dot<R, 1>(tile, first, blocks, b, offset);
    }
  }
}

// Turns row r's scores of a chunk into weights, and those, each times its value's scale, into
// multipliers. Places that the pair doesn't see have no scale.
#if defined(__AVX512F__)

void soften_row(Tile& tile, int r, const Pair& pair, const ChunkBlocks& blocks, int start,
                Range seen, Sums& sums) {
  const Range at{blocks.at, blocks.at + blocks.count * kBlockTokens};
  const Range own = seen_by(pair, seen);
  float* weight = tile.weight[r];
  sums.maximum[r] = kNever;
  sums.sum[r] = 0;
  if (own.begin >= own.end) {
    for (int i = at.begin; i < at.end; i += kLanes) store(weight + i, zero());
    return quantize_fours(weight, at.begin, at.end, kMostWeight, tile.p[r]);
  }
  const Powers powers = powers_of(tile.args->score, pair, weight, start, own, at);
  F total = zero(), top = zero(), invalid = zero();
  for (int i = at.begin; i < at.end; i += kLanes) {
    const int in = i - at.begin, place = start + i;
    const F p = power_of(powers, load(weight + i));
    F x = p * load(blocks.v_scale[in / kBlockTokens] + in % kBlockTokens);
    if (place < own.begin || place + kLanes > own.end) {
      x = select(lanes_between(own.begin - place, own.end - place), x, zero());
    }
    store(weight + i, x);
    total = total + p;
    top = max(x, top);
    invalid = fma(x, zero(), invalid);
  }
  sums.maximum[r] = powers.maximum;
  sums.sum[r] = reduce_add(total);
  round_fours(weight, at.begin, at.end, kMostWeight, reduce_max(top), reduce_add(invalid),
              tile.p[r]);
}

#else

void soften_row(Tile& tile, int r, const Pair& pair, const ChunkBlocks& blocks, int start,
                Range seen, Sums& sums) {
  float* weight = tile.weight[r];
  soften(tile.args->score, pair, weight, start, seen, sums.maximum[r], sums.sum[r]);
  const Range own = seen_by(pair, seen);
  const int begin = (seen.begin - start) / kLanes * kLanes;
  const int end = (seen.end - start + kLanes - 1) / kLanes * kLanes;
  for (int i = begin; i < end; i += kLanes) {
    const int at = i - blocks.at;
    const F scale = load(blocks.v_scale[at / kBlockTokens] + at % kBlockTokens);
    const Mask sees = lanes_between(own.begin - start - i, own.end - start - i);
    store(weight + i, select(sees, load(weight + i) * scale, zero()));
  }
  quantize_fours(weight, begin, end, kMostWeight, tile.p[r]);
}

#endif

// The keys that follow a chunk's block in the next chunk, or the block's own where none do.
const uint8_t* next_keys(const Tile& tile, const ChunkBlocks& blocks, int start, int block) {
  const int key = start + blocks.at + block * kBlockTokens + kAttentionChunk;
  const int end = tile.item->chunk_end * kAttentionChunk;
  if (key >= tile.keys.end || key >= end) return blocks.v[block];
  return tile.k + tile.table[key / kBlockTokens] * tile.args->kv.k_stride.block;
}

// chunk[r][d ...] = sum of weight * v over the keys `seen`, for V vectors of elements.
template <int R, int V>
void mix(Tile& tile, const ChunkBlocks& blocks, int start, Range seen, int d) {
  constexpr int kBlockFours = kBlockTokens / kFour;
  Ints sum[R][V][kParts];
#pragma GCC unroll 32
  for (int i = 0; i < R * V * kParts; ++i)
    sum[i / (V * kParts)][i / kParts % V][i % kParts] = Ints{};
  const int64_t row = int64_t{tile.args->value_dim} * kFour;
  const int end = (seen.end - start + kFour - 1) / kFour, first_four = blocks.at / kFour;
  for (int four = (seen.begin - start) / kFour; four < end;) {
    const int in_block = (four - first_four) % kBlockFours;
    const int b = (four - first_four) / kBlockFours;
    const uint8_t* from = blocks.v[b] + in_block * row + d * kFour;
    const uint8_t* later = tile.fetches ? next_keys(tile, blocks, start, b) : from;
    const int stop = four + kBlockFours - in_block < end ? four + kBlockFours - in_block : end;
    for (; four < stop; ++four, from += row) {
      Products::Bytes value[V];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        value[v] = Products::load(from + v * kLanes * kFour);
        if (tile.fetches) fetch(later + (from - blocks.v[b]) + v * kLanes * kFour);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const auto& p = tile.p[r];
        const Products::Four weight = Products::four(p.first + four, p.second + four);
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) add_products(sum[r][v], value[v], weight);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const auto& p = tile.p[r];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      store(tile.chunk[r] + d + v * kLanes,
            to_floats(Products::whole(sum[r][v]) + p.start) * set1(p.scale));
    }
  }
}

// The last vector may reach beyond the values, into those of the next tokens or the scales.
template <int R>
void mix_all(Tile& tile, const ChunkBlocks& blocks, int start, Range seen) {
  const int dim = tile.args->value_dim;
  int d = 0;
  for (; d + kByteVectors * kLanes <= dim; d += kByteVectors * kLanes) {
    mix<R, kByteVectors>(tile, blocks, start, seen, d);
  }
  for (; d < dim; d += kLanes) mix<R, 1>(tile, blocks, start, seen, d);
}

ChunkBlocks blocks_of(const Tile& tile, int start, Range seen) {
  const AttentionArgs& args = *tile.args;
  const int first = seen.begin / kBlockTokens;
  ChunkBlocks blocks{0, first * kBlockTokens - start, {}, {}, {}, {}};
  for (int b = first; b * kBlockTokens < seen.end; ++b, ++blocks.count) {
    const uint8_t* k = tile.k + tile.table[b] * args.kv.k_stride.block;
    const uint8_t* v = tile.v + tile.table[b] * args.kv.v_stride.block;
    blocks.k[blocks.count] = k;
    blocks.v[blocks.count] = v;
    blocks.k_scale[blocks.count] = reinterpret_cast<const float*>(k + kv_scales(args.dim));
    blocks.v_scale[blocks.count] = reinterpret_cast<const float*>(v + kv_scales(args.value_dim));
  }
  return blocks;
}

template <int R>
void run_block(Tile& tile, int block, int first, int chunk, Range seen) {
  const int start = chunk * kAttentionChunk;
  const ChunkBlocks blocks = blocks_of(tile, start, seen);
  dot_all<R>(tile, first, blocks);
  Sums sums;
  for (int r = 0; r < R; ++r) {
    soften_row(tile, r, tile.pair[first + r], blocks, start, seen, sums);
  }
  mix_all<R>(tile, blocks, start, seen);
  settle(tile, block, first, R, chunk, sums, tile.chunk[0], kRowDim);
}

void quantize_query(const AttentionArgs& args, const Pair& pair, Multipliers<kRowDim>& to) {
  alignas(64) float q[kRowDim];
  const int end = (args.dim + kLanes - 1) / kLanes * kLanes;
  for_vectors(args.dim, [&](int i, int n) { store(q + i, load_some(pair.q + i, n)); });
  quantize_fours(q, 0, end, kMostQuery, to);
}

}  // namespace

void LEVEL(attention_int8)(const AttentionArgs& args, const AttentionItem& item) {
  const KvView& kv = args.kv;
  Tile tile;  // left uninitialized: it is large
  set_tile(args, item, tile);
  tile.k = static_cast<const uint8_t*>(kv.k) + item.kv_head * kv.k_stride.head;
  tile.v = static_cast<const uint8_t*>(kv.v) + item.kv_head * kv.v_stride.head;
  tile.fetches = tile.count <= 2 * kMaxPairs;
  for (int i = 0; i < tile.count; ++i) quantize_query(args, tile.pair[i], tile.q[i]);
  walk<kMaxPairs>(tile, [&](int block, int first, auto* constant, int chunk, Range seen) {
    run_block<static_cast<int>(sizeof *constant)>(tile, block, first, chunk, seen);
  });
}

}  // namespace tensormill
