#pragma once

// The kernel of linear_some.cu for sm_90: tensor maps bring weights and inputs, each into a ring of
// its own, since the weights may come before the kernel before has ended. A block takes more than
// half of a multiprocessor's shared memory: blocks that come early land where there is room, and
// two on one multiprocessor would take twice the time of the others.

#include "kernels/cuda/device/some_tile.cuh"
#include "kernels/cuda/device/tensor_copy.cuh"
#include "kernels/cuda/device/warpgroup.cuh"

namespace tensormill {

// Places in shared memory for products of up to kRows rows.
template <int kRows>
struct SomeRings {
  static constexpr uint32_t kWeight = kSomeTile * kSomeChunk * 2, kInput = kRows * kSomeChunk * 2;
  static constexpr uint32_t kBytes = 128 << 10;
  static constexpr uint32_t kInputs = kRows <= 32 ? 8 : kRows <= 64 ? 5 : kRows <= 96 ? 4 : 3;
  static constexpr uint32_t kWeights = (kBytes - kInputs * kInput) / kWeight;
  static constexpr uint32_t kInputAt = kWeights * kWeight;
  static constexpr uint32_t kBarrierAt = kInputAt + kInputs * kInput;
  static constexpr uint32_t kShared = kBarrierAt + 16 * (kWeights + kInputs);
};

// Where one of a ring's stages is: its number, and whether the ring has gone round an odd time.
template <uint32_t kStages>
struct RingPlace {
  uint32_t stage = 0, parity = 0;

  __device__ void step() {
    if (++stage == kStages) stage = 0, parity ^= 1;
  }
};

struct SomeMaps {
  CUtensorMap weight, input;
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// A barrier for full and one for free of each stage: `full` has those of all stages, then `free`.
template <uint32_t kStages>
__device__ __forceinline__ void init_ring(uint32_t full) {
  for (uint32_t i = 0; i < kStages; ++i) {
    init_barrier(full + 8 * i, 1);
    init_barrier(full + 8 * (kStages + i), kSomeThreads / 32);
  }
}

// One thread fills a ring with the boxes of the block's units.
template <uint32_t kStages, uint32_t kStageBytes, class Box>
__device__ __forceinline__ void fill_ring(uint32_t ring, uint32_t full, uint32_t free,
                                          int32_t units, Box box) {
  RingPlace<kStages> place;
  for (int32_t i = 0; i < units; ++i) {
    if (i >= static_cast<int32_t>(kStages)) wait_at(free + 8 * place.stage, place.parity ^ 1);
    expect_bytes(full + 8 * place.stage, kStageBytes);
    box(i, ring + place.stage * kStageBytes, full + 8 * place.stage);
    place.step();
  }
}

// sums = weights times inputs of one unit, plus the sums where `add` is set.
template <class T, int kRows, int kGroups>
__device__ __forceinline__ void multiply_unit(SomeSums<kGroups>& sums, uint32_t weight,
                                              uint32_t input, bool add) {
  const uint64_t a = matrix_at(weight), b = matrix_at(input);
  warpgroup_begin();
#pragma unroll
  for (int k = 0; k < kSomeChunk / 16; ++k) {
    const uint64_t ak = a + 2 * k, bk = b + 2 * k;
    const uint32_t keep = add || k > 0;
    // 8 rows of inputs are 1024 bytes.
    if constexpr (kRows == 16) multiply_16<T, 0>(sums, ak, bk, keep);
    if constexpr (kRows == 32) multiply_32<T, 0>(sums, ak, bk, keep);
    if constexpr (kRows >= 64) multiply_64<T, 0>(sums, ak, bk, keep);
    if constexpr (kRows == 96) multiply_32<T, 8>(sums, ak, bk + (8 * 1024 >> 4), keep);
    if constexpr (kRows == 128) multiply_64<T, 8>(sums, ak, bk + (8 * 1024 >> 4), keep);
  }
  warpgroup_end();
}
#endif

template <class T, int kRows>
__global__ void __launch_bounds__(kSomeThreads + 64, 1)
    some_wgmma_kernel(const __grid_constant__ SomeMaps maps, SomeProduct product) {
  release_next();
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Rings = SomeRings<kRows>;
  extern __shared__ __align__(1024) uint8_t shared[];
  const uint32_t weights = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const uint32_t inputs = weights + Rings::kInputAt;
  const uint32_t weight_full = weights + Rings::kBarrierAt;
  const uint32_t weight_free = weight_full + 8 * Rings::kWeights;
  const uint32_t input_full = weight_free + 8 * Rings::kWeights;
  const uint32_t input_free = input_full + 8 * Rings::kInputs;
  const int32_t begin = first_unit(product, blockIdx.x);
  const int32_t end = first_unit(product, blockIdx.x + 1);
  const int32_t warp = threadIdx.x / 32;
  if (threadIdx.x == kSomeThreads) {
    init_ring<Rings::kWeights>(weight_full);
    init_ring<Rings::kInputs>(input_full);
    publish_barriers();
  }
  __syncthreads();

  if (warp == kSomeThreads / 32) {
    if (threadIdx.x % 32 != 0) return;
    const uint64_t policy = policy_once();
    fill_ring<Rings::kWeights, Rings::kWeight>(
        weights, weight_full, weight_free, end - begin, [&](int32_t i, uint32_t to, uint32_t full) {
          const int32_t unit = begin + i, tile = unit / product.chunks;
          copy_box(to, &maps.weight, (unit - tile * product.chunks) * kSomeChunk, tile * kSomeTile,
                   full, policy);
        });
    return;
  }
  if (warp > kSomeThreads / 32) {
    if (threadIdx.x % 32 != 0) return;
    fetch_map(&maps.input);
    wait_for_previous();
    const uint64_t policy = policy_again();
    fill_ring<Rings::kInputs, Rings::kInput>(
        inputs, input_full, input_free, end - begin, [&](int32_t i, uint32_t to, uint32_t full) {
          copy_box(to, &maps.input, (begin + i) % product.chunks * kSomeChunk, 0, full, policy);
        });
    return;
  }

  wait_for_previous();
  const int32_t rows = *product.live.count;
  constexpr int kGroups = kRows / 8;
  SomeSums<kGroups> sums;
  RingPlace<Rings::kWeights> weight;
  RingPlace<Rings::kInputs> input;
  int32_t tile = begin / product.chunks;
  int32_t tile_end = min(end, (tile + 1) * product.chunks);
  bool add = false;
  for (int32_t unit = begin; unit < end; ++unit) {
    wait_at(weight_full + 8 * weight.stage, weight.parity);
    wait_at(input_full + 8 * input.stage, input.parity);
    const uint32_t at = weight.stage * Rings::kWeight;
    multiply_unit<T, kRows>(sums, weights + at, inputs + input.stage * Rings::kInput, add);
    if (threadIdx.x % 32 == 0) arrive_at(input_free + 8 * input.stage);
    add = true;
    if (unit + 1 == tile_end) {
      meet();  // all have read the weights: their place serves to turn the sums
      finish_tile<kGroups>(product, sums, tile, rows,
                           reinterpret_cast<float*>(shared + at + warp * 2048));
      ++tile;
      tile_end = min(end, (tile + 1) * product.chunks);
      add = false;
      before_copies();
      __syncwarp();
    }
    if (threadIdx.x % 32 == 0) arrive_at(weight_free + 8 * weight.stage);
    weight.step();
    input.step();
  }
#endif
}

}  // namespace tensormill
