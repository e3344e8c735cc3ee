#pragma once

// How a warp of the kernel for single queries goes through keys and values.

#include "kernels/cuda/device/decode_fresh.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill::decode {

// Whole tiles, or halves: a cache block has memory for all its tokens, whatever it holds.
template <class S, int kChunk>
__device__ __forceinline__ void load_chunk(const AttentionArgs& args,
                                           const Tile<typename S::Type>& tile, int lane,
                                           uint4 (&to)[S::loads]) {
  if (tile.tokens <= 0) return;
  const int g = lane / 4, t = lane % 4;
  if constexpr (kChunk < S::key_chunks) {
    const int dim = S::key_size(args);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (tile.tokens <= half * kTile / 2) break;
#pragma unroll
      for (int i = 0; i < S::key_run; ++i) {
        const int d = (kChunk * S::key_run + i) * 32;
        to[2 * i + half] = S::load(tile.k + half * 8 * dim + d, d + 8 * t < dim);
      }
    }
  } else {
    const int dim = S::value_size(args);
#pragma unroll
    for (int i = 0; i < S::value_run; ++i) {
      const int d = ((kChunk - S::key_chunks) * S::value_run + i) * 64;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (tile.tokens <= j / 2 * kTile / 2) break;
        to[4 * i + j] = S::load(tile.v + (j / 2 * 8 + j % 2) * dim + d, d + 8 * g < dim);
      }
    }
  }
}

// Values of tokens that aren't there may be anything; their weights are 0, but 0 * NaN is not.
template <class S>
__device__ __forceinline__ void clear_absent(int tokens, int lane, uint4 (&values)[S::loads]) {
#pragma unroll
  for (int i = 0; i < S::value_run * 4; ++i) {
    if (lane % 4 * 2 + i % 4 / 2 * 8 + i % 2 >= tokens) values[i] = {0, 0, 0, 0};
  }
}

// The new key, or value, in place of what the cache had there. token: its number in the tile.
template <class S, int kChunk>
__device__ __forceinline__ void take_fresh(const Fresh<S>& fresh, int token, int lane,
                                           uint4 (&chunk)[S::loads]) {
  const int g = lane / 4, t = lane % 4;
  if constexpr (kChunk < S::key_chunks) {
#pragma unroll
    for (int i = 0; i < S::key_run * 2; ++i) {
      if (g + i % 2 * 8 == token) chunk[i] = fresh.key[(kChunk * S::key_run + i / 2) * 4 + t];
    }
  } else {
#pragma unroll
    for (int i = 0; i < S::value_run * 4; ++i) {
      if (2 * t + i % 4 / 2 * 8 + i % 2 == token) {
        chunk[i] = fresh.value()[((kChunk - S::key_chunks) * S::value_run + i / 4) * 8 + g];
      }
    }
  }
}

// sum[i] += products of the chunk's elements; the two sums are added in the end.
template <class S, int kChunk>
__device__ __forceinline__ void take_keys(const uint4 (&chunk)[S::loads], const uint4* queries,
                                          int lane, float (&sum)[2][4]) {
#pragma unroll
  for (int i = 0; i < S::key_run; ++i) {
    const uint4 q = queries[(kChunk * S::key_run + i) * 32 + lane];
    const uint4 a = chunk[2 * i], b = chunk[2 * i + 1];
    multiply_add<typename S::Type>(sum[0], {a.x, b.x, a.y, b.y}, q.x, q.y);
    multiply_add<typename S::Type>(sum[1], {a.z, b.z, a.w, b.w}, q.z, q.w);
  }
}

template <class S, int kChunk>
__device__ __forceinline__ void take_values(const uint4 (&chunk)[S::loads],
                                            const uint32_t (&weight)[2], Result<S>& result) {
#pragma unroll
  for (int i = 0; i < S::value_run; ++i) {
    const uint4 *a = &chunk[4 * i], *b = a + 1, *c = a + 2, *d = a + 3;
    float(*value)[4] = &result.value[((kChunk - S::key_chunks) * S::value_run + i) * 4];
    const auto take = [&](int j, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
      multiply_add<typename S::Type>(
          value[j], {low_halves(a, b), high_halves(a, b), low_halves(c, d), high_halves(c, d)},
          weight[0], weight[1]);
    };
    take(0, a->x, b->x, c->x, d->x);
    take(1, a->y, b->y, c->y, d->y);
    take(2, a->z, b->z, c->z, d->z);
    take(3, a->w, b->w, c->w, d->w);
  }
}

// Turns a tile's products into weights.
template <class S>
__device__ __forceinline__ void soften(const AttentionArgs& args, const Work& work,
                                       const HeadBias (&bias)[2], int tile, int lane,
                                       const float (&sum)[2][4], uint32_t (&weight)[2],
                                       Result<S>& result) {
  float x[4], keep[2];
#pragma unroll
  for (int i = 0; i < 4; ++i) x[i] = sum[0][i] + sum[1][i];
  const int key = tile * kTile + lane / 4;
  if (args.score.softcap == 0 && args.score.slopes == nullptr) {
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] *= args.score.scale;
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x[i] = score_of(args.score, bias[i % 2], x[i], key + i / 2 * 8, work.position);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) x[i] = work.seen.holds(key + i / 2 * 8) ? x[i] : -INFINITY;
  bool grows = false;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float top = fmaxf(x[h], x[h + 2]);
#pragma unroll
    for (int step = 4; step < 32; step *= 2) {
      top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, step));
    }
    grows |= top > result.maximum[h];
    top = fmaxf(top, result.maximum[h]);
    const float base = top == -INFINITY ? 0.0f : top;
    keep[h] = __expf(result.maximum[h] - base);
    result.maximum[h] = top;
    x[h] = __expf(x[h] - base);
    x[h + 2] = __expf(x[h + 2] - base);
    result.sum[h] = result.sum[h] * keep[h] + x[h] + x[h + 2];
  }
  if (__any_sync(kAllLanes, grows)) {
#pragma unroll
    for (int i = 0; i < S::value_pieces * 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) result.value[i][j] *= keep[j % 2];
    }
  }
  weight[0] = transpose(pack<typename S::Type>(x[0], x[1]));
  weight[1] = transpose(pack<typename S::Type>(x[2], x[3]));
}

// Queries as the right factor takes them: [piece][lane], 8 elements of head g from 32 * piece + 8t.
template <class S>
__device__ void load_queries(const AttentionArgs& args, const Work& work, uint4* queries) {
  const auto* q = static_cast<const typename S::Type*>(args.q.x) + work.row * args.q.stride +
                  static_cast<int64_t>(work.head) * args.dim;
  for (int i = threadIdx.x; i < S::key_pieces * 32; i += blockDim.x) {
    const int head = i % 32 / 4, d = i / 32 * 32 + i % 4 * 8;
    queries[i] = load_once(q + head * args.dim + d, head < work.heads && d < args.dim);
  }
}

// Consumes chunk kChunk of this tile and the ones after it; each leaves its registers to the chunk
// that comes two later, of this tile or the next.
template <class S, int kChunk>
struct Step {
  const AttentionArgs& args;
  const Work& work;
  const HeadBias (&bias)[2];
  const uint4* queries;
  const Fresh<S>& fresh;
  int lane;

  __device__ __forceinline__ void run(int i, const Tile<typename S::Type>& tile,
                                      const Tile<typename S::Type>& next, Buffers<S>& buffers,
                                      float (&sum)[2][4], uint32_t (&weight)[2],
                                      Result<S>& result) const {
    auto& chunk = buffers.chunk[kChunk % 2];
    const int token = work.fresh - work.tiles.block(i) * kTile;
    if (token >= 0 && token < kTile) take_fresh<S, kChunk>(fresh, token, lane, chunk);
    if constexpr (kChunk < S::key_chunks) {
      take_keys<S, kChunk>(chunk, queries, lane, sum);
    } else {
      if (tile.tokens < kTile) clear_absent<S>(tile.tokens, lane, chunk);
      take_values<S, kChunk>(chunk, weight, result);
    }
    if constexpr (kChunk + 2 < S::chunks) {
      load_chunk<S, kChunk + 2>(args, tile, lane, chunk);
    } else {
      load_chunk<S, kChunk + 2 - S::chunks>(args, next, lane, chunk);
    }
    if constexpr (kChunk + 1 == S::key_chunks) {
      soften<S>(args, work, bias, work.tiles.block(i), lane, sum, weight, result);
    }
    if constexpr (kChunk + 1 < S::chunks) {
      const Step<S, kChunk + 1> after{args, work, bias, queries, fresh, lane};
      after.run(i, tile, next, buffers, sum, weight, result);
    }
  }
};

// A warp's tiles of the share.
template <class S>
__device__ __forceinline__ void walk(const DecodeArgs& decode, const Work& work,
                                     const Lane<typename S::Type>& place, const FreshRoom<S>& room,
                                     uint4* queries, const Fresh<S>& fresh, Result<S>& result) {
  using T = typename S::Type;
  const AttentionArgs& args = decode.attention;
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  const auto id_of_block = [&](int block) {
    return load_now((block < static_cast<int>(blockDim.x) ? work.early : work.table) + block);
  };
  const auto id_of = [&](int i) {
    return id_of_block(work.tiles.block(min(i, work.end - 1)) / (kBlockTokens / kTile));
  };
  __syncthreads();
  int i = work.begin + static_cast<int>(threadIdx.x) / 32;
  int32_t next_id = id_of(i + warps);
  Tile<T> tile = find_tile<S>(args, work, place, i, id_of(i));
  Buffers<S> buffers;
  load_chunk<S, 0>(args, tile, lane, buffers.chunk[0]);
  load_chunk<S, 1>(args, tile, lane, buffers.chunk[1]);
  if (decode.stores) {
    wait_for_previous();
    fetch_heads(decode, work, room);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    take_heads(decode, work, id_of_block(work.fresh / kBlockTokens), room, queries, fresh);
  } else {
    load_queries<S>(args, work, queries);
  }
  HeadBias bias[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int head = min(lane % 4 * 2 + h, work.heads - 1);
    bias[h] = head_bias(args.score, work.head + head, work.position);
  }
  __syncthreads();
  for (; i < work.end; i += warps) {
    const Tile<T> next = find_tile<S>(args, work, place, i + warps, next_id);
    next_id = id_of(i + 2 * warps);
    float sum[2][4] = {};
    uint32_t weight[2];
    const Step<S, 0> step{args, work, bias, queries, fresh, lane};
    step.run(i, tile, next, buffers, sum, weight, result);
    tile = next;
  }
}

}  // namespace tensormill::decode
