#pragma once

// The kernel of linear_wave.cu (sm_90a). The rows are the left operand of the tensor cores, a
// block's outputs the right one. Weights and inputs come each into a ring of their own, since the
// weights may come before the kernel before has ended.

#include "kernels/cuda/device/product_end.cuh"
#include "kernels/cuda/device/tensor_copy.cuh"
#include "kernels/cuda/device/warpgroup.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill {

inline constexpr int kWaveChunk = 64;  // inputs of a stage: 128 bytes of a row
inline constexpr int kWaveRows = 64;   // of a warpgroup

struct WaveProduct {
  int32_t tiles, chunks;  // of the outputs, of the inner dimension
  int32_t split;          // blocks of a cluster, which share a tile's chunks
  int32_t stages;
  uint32_t input_bytes;                              // of a stage
  uint32_t weight_at, turn_at, bias_at, barrier_at;  // in shared memory
  const float* bias;                                 // [outputs] or null
  ProductEnd end;                                    // after the bias
  Live live;
};

struct WaveMaps {
  CUtensorMap weight, input;
};

// Where a product's sums lie for its end: rows of kPitch floats, so that writes meet all banks.
template <int kOutputs, int kGroups>
struct WaveTurn {
  static constexpr int kPitch = kOutputs + 8;
  static constexpr int kBytes = kGroups * kWaveRows * kPitch * static_cast<int>(sizeof(float));
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Where one of a ring's stages is: its number, and whether the ring has gone round an odd time.
struct WavePlace {
  int32_t stages;
  int32_t stage = 0;
  uint32_t parity = 0;

  __device__ __forceinline__ void step() {
    if (++stage == stages) stage = 0, parity ^= 1;
  }
};

// Barriers in shared memory: full and free of each stage of both rings.
struct WaveBarriers {
  uint32_t weight_full, weight_free, input_full, input_free;

  __device__ __forceinline__ WaveBarriers(const WaveProduct& product, uint32_t shared)
      : weight_full(shared + product.barrier_at),
        weight_free(weight_full + 8 * product.stages),
        input_full(weight_free + 8 * product.stages),
        input_free(input_full + 8 * product.stages) {}

  __device__ __forceinline__ void init(int32_t stages, uint32_t warps) const {
    for (int32_t i = 0; i < stages; ++i) {
      init_barrier(weight_full + 8 * i, 1);
      init_barrier(weight_free + 8 * i, warps);
      init_barrier(input_full + 8 * i, 1);
      init_barrier(input_free + 8 * i, warps);
    }
    publish_barriers();
  }
};

// What a block works on: chunks of tiles.
struct WaveShare {
  int32_t rank, first_tile, tile_step, first_chunk, end_chunk;

  __device__ __forceinline__ explicit WaveShare(const WaveProduct& product) {
    const int32_t cluster = blockIdx.x / product.split;
    rank = blockIdx.x - cluster * product.split;
    first_tile = cluster;
    tile_step = gridDim.x / product.split;
    first_chunk = product.chunks * rank / product.split;
    end_chunk = product.chunks * (rank + 1) / product.split;
  }
};

template <class F>
__device__ __forceinline__ void each_chunk(const WaveProduct& product, const WaveShare& share,
                                           F&& f) {
  for (int32_t tile = share.first_tile; tile < product.tiles; tile += share.tile_step) {
    for (int32_t chunk = share.first_chunk; chunk < share.end_chunk; ++chunk) f(tile, chunk);
  }
}

// One thread fills a ring: box(tile, chunk, to, full) asks for a stage's bytes.
template <class Box>
__device__ __forceinline__ void fill_wave_ring(const WaveProduct& product, const WaveShare& share,
                                               uint32_t ring, uint32_t bytes, uint32_t full,
                                               uint32_t free, Box box) {
  WavePlace place{product.stages};
  int32_t asked = 0;
  each_chunk(product, share, [&](int32_t tile, int32_t chunk) {
    const uint32_t at = 8 * place.stage;
    if (asked >= product.stages) wait_at(free + at, place.parity ^ 1);
    expect_bytes(full + at, bytes);
    box(tile, chunk, ring + place.stage * bytes, full + at);
    ++asked;
    place.step();
  });
}

// sums = inputs times weights of one stage, plus the sums where `add` is set.
template <class T, int kOutputs>
__device__ __forceinline__ void multiply_stage(float (&sums)[kOutputs / 8][4], uint32_t input,
                                               uint32_t weight, bool add) {
  static_assert(kOutputs % 32 == 0 && kOutputs <= 192);
  const uint64_t a = matrix_at(input), b = matrix_at(weight);
  constexpr auto rows_on = [](int rows) { return uint64_t(rows) * 128 >> 4; };
  warpgroup_begin();
#pragma unroll
  for (int k = 0; k < kWaveChunk / 16; ++k) {
    const uint64_t ak = a + 2 * k, bk = b + 2 * k;
    const uint32_t keep = add || k > 0;
    constexpr int kRest = kOutputs / 64 * 64;
    if constexpr (kOutputs >= 64) multiply_64<T, 0>(sums, ak, bk, keep);
    if constexpr (kOutputs >= 128) multiply_64<T, 8>(sums, ak, bk + rows_on(64), keep);
    if constexpr (kOutputs >= 192) multiply_64<T, 16>(sums, ak, bk + rows_on(128), keep);
    if constexpr (kOutputs > kRest) multiply_32<T, kRest / 8>(sums, ak, bk + rows_on(kRest), keep);
  }
  warpgroup_end();
}

// The rows of a tile go in eights, in turn, to the blocks of the cluster that end them. There the
// sums of each block lie one after the other, in `place` rows each.
template <int kGroups>
__device__ __forceinline__ int32_t rows_of_block(int32_t split) {
  return (kGroups * kWaveRows / 8 + split - 1) / split * 8;
}

__device__ __forceinline__ void store_pair(uint32_t to, float x, float y) {
  asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(to), "f"(x), "f"(y) : "memory");
}

__device__ __forceinline__ uint32_t in_block(uint32_t address, int32_t rank) {
  uint32_t there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
  return there;
}

// A thread's sums to where they are added up.
template <int kOutputs, int kGroups>
__device__ __forceinline__ void hand_out(const WaveProduct& product,
                                         const float (&sums)[kOutputs / 8][4], uint32_t turn,
                                         int32_t rank, int32_t rows) {
  constexpr int kPitch = WaveTurn<kOutputs, kGroups>::kPitch;
  const int lane = threadIdx.x % 32, split = product.split;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int eight = threadIdx.x / 32 * 2 + half;
    if (eight * 8 >= rows) continue;
    const int row = rank * rows_of_block<kGroups>(split) + eight / split * 8 + lane / 4;
    uint32_t to = turn + (row * kPitch + lane % 4 * 2) * 4;
    if (split > 1) to = in_block(to, eight % split);
#pragma unroll
    for (int g = 0; g < kOutputs / 8; ++g) {
      store_pair(to + g * 32, sums[g][2 * half], sums[g][2 * half + 1]);
    }
  }
}

// Ends this block's rows of a tile: sums of the cluster's blocks in ascending order. Not unrolled:
// code that runs once is as slow as its way from memory.
template <int kOutputs, int kGroups>
__device__ __forceinline__ void end_rows(const WaveProduct& product, const float* turn,
                                         const float* bias, int32_t rank, int32_t tile,
                                         int32_t rows) {
  constexpr int kPitch = WaveTurn<kOutputs, kGroups>::kPitch, kPieces = kOutputs / 4;
  const int32_t split = product.split, own = rows_of_block<kGroups>(split);
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < own * kPieces; i += kGroups * 128) {
    const int32_t place = i / kPieces, at = i % kPieces * 4;
    const int32_t row = (place / 8 * split + rank) * 8 + place % 8;
    const int32_t output = tile * kOutputs + at;
    if (row >= rows || output >= product.end.outputs) continue;
    float x[4] = {};
    const float* from = turn + place * kPitch + at;
#pragma unroll 1
    for (int32_t r = 0; r < split; ++r) {
      const float4 add = *reinterpret_cast<const float4*>(from + r * own * kPitch);
      x[0] += add.x, x[1] += add.y, x[2] += add.z, x[3] += add.w;
    }
    const float4 add = *reinterpret_cast<const float4*>(bias + at);
    x[0] += add.x, x[1] += add.y, x[2] += add.z, x[3] += add.w;
    end_row(product.end, x, row, output);
  }
}

template <int kOutputs, int kGroups>
__device__ __forceinline__ void fetch_bias(const WaveProduct& product, float* bias, int32_t tile) {
  for (int32_t i = threadIdx.x; i < kOutputs; i += kGroups * 128) {
    const int32_t output = tile * kOutputs + i;
    const bool there = product.bias != nullptr && output < product.end.outputs;
    bias[i] = there ? product.bias[output] : 0.0f;
  }
}

template <int kThreads>
__device__ __forceinline__ void multipliers_meet() {
  asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
}

// Ends a tile: its sums go through shared memory, so that a thread gets neighbours.
template <int kOutputs, int kGroups>
__device__ __forceinline__ void end_tile(const WaveProduct& product,
                                         const float (&sums)[kOutputs / 8][4], const float* turn,
                                         float* bias, int32_t rank, int32_t tile, int32_t rows) {
  const bool alone = product.split == 1;
  if (alone) {
    multipliers_meet<kGroups * 128>();  // the tile before is over
  } else {
    __cluster_barrier_wait();
  }
  if (tile >= static_cast<int32_t>(gridDim.x)) fetch_bias<kOutputs, kGroups>(product, bias, tile);
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(turn));
  hand_out<kOutputs, kGroups>(product, sums, at, rank, rows);
  if (alone) {
    multipliers_meet<kGroups * 128>();
  } else {
    __cluster_barrier_arrive();
    __cluster_barrier_wait();
  }
  end_rows<kOutputs, kGroups>(product, turn, bias, rank, tile, rows);
}
#endif

template <class T, int kOutputs, int kGroups>
__global__ void __launch_bounds__(kGroups * 128 + 64, 1)
    wave_kernel(const __grid_constant__ WaveMaps maps,
                const __grid_constant__ WaveProduct product) {
  release_next();
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) uint8_t shared[];
  constexpr uint32_t kWeightBytes = kOutputs * kWaveChunk * 2;
  constexpr int kWarps = kGroups * 4;
  const auto inputs = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const uint32_t weights = inputs + product.weight_at;
  const WaveBarriers barriers(product, inputs);
  const WaveShare share(product);
  const int32_t warp = threadIdx.x / 32;
  if (threadIdx.x == kWarps * 32) barriers.init(product.stages, kWarps);
  if (product.split > 1) __cluster_barrier_arrive_relaxed();  // others may write to this block
  __syncthreads();

  if (warp == kWarps) {
    if (threadIdx.x % 32 != 0) return;
    const uint64_t policy = policy_once();
    fill_wave_ring(product, share, weights, kWeightBytes, barriers.weight_full,
                   barriers.weight_free,
                   [&](int32_t tile, int32_t chunk, uint32_t to, uint32_t full) {
                     copy_box(to, &maps.weight, chunk * kWaveChunk, tile * kOutputs, full, policy);
                   });
    return;
  }
  if (warp > kWarps) {
    if (threadIdx.x % 32 != 0) return;
    fetch_map(&maps.input);
    wait_for_previous();
    const uint64_t policy = policy_again();
    fill_wave_ring(product, share, inputs, product.input_bytes, barriers.input_full,
                   barriers.input_free, [&](int32_t, int32_t chunk, uint32_t to, uint32_t full) {
                     copy_box(to, &maps.input, chunk * kWaveChunk, 0, full, policy);
                   });
    return;
  }

  auto* bias = reinterpret_cast<float*>(shared + product.bias_at);
  fetch_bias<kOutputs, kGroups>(product, bias, share.first_tile);
  wait_for_previous();
  const int32_t rows = *product.live.count;
  float sums[kOutputs / 8][4];
  WavePlace place{product.stages};
  each_chunk(product, share, [&](int32_t tile, int32_t chunk) {
    const uint32_t at = 8 * place.stage;
    wait_at(barriers.weight_full + at, place.parity);
    wait_at(barriers.input_full + at, place.parity);
    multiply_stage<T, kOutputs>(
        sums, inputs + place.stage * product.input_bytes + warp / 4 * kWaveRows * kWaveChunk * 2,
        weights + place.stage * kWeightBytes, chunk > share.first_chunk);
    if (threadIdx.x % 32 == 0) {
      arrive_at(barriers.weight_free + at);
      arrive_at(barriers.input_free + at);
    }
    place.step();
    if (chunk + 1 < share.end_chunk) return;
    end_tile<kOutputs, kGroups>(product, sums, reinterpret_cast<float*>(shared + product.turn_at),
                                bias, share.rank, tile, rows);
  });
#endif
}

}  // namespace tensormill
