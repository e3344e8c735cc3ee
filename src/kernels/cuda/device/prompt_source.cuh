#pragma once

// The warp that brings queries, keys and values by tensor maps.

#include "kernels/cuda/device/prompt_shared.cuh"

namespace tensormill {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Brings one tile of keys or values; each lane one column of one block.
template <int kKeys, int kColumns>
__device__ __forceinline__ void bring(const TensorMap& map, const PromptWork& work, int tile,
                                      KeyTile<kKeys, kColumns>& to, uint64_t* full, uint64_t* empty,
                                      uint32_t parity) {
  constexpr int kBlocks = kKeys / kBlockTokens;
  constexpr uint32_t kBytes = kColumns * kBlockTokens * kColumn * 2;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int block = lane % kBlocks, column = lane / kBlocks;
  const int32_t first = first_key(work) / kBlockTokens + tile * kBlocks;
  const int32_t count = min((work.keys - 1) / kBlockTokens - first + 1, kBlocks);
  const bool mine = block < count && column < kColumns;
  const int32_t id = mine ? work.blocks[first + block] : 0;
  wait(empty, parity ^ 1);
  if (lane == 0) arrive_expecting(full, static_cast<uint32_t>(count) * kBytes);
  __syncwarp();
  if (mine) {
    copy_box(&map, &to[column][block * kBlockTokens * kColumn], full, column * kColumn, 0,
             work.kv_head, id);
  }
}

template <class Shape>
__device__ __forceinline__ void bring_queries(const TensorMap& map, const PromptWork& work,
                                              PromptShared<Shape>& shared, int slot) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int half = lane % 2, column = lane / 2, halves = work.rows > 64 ? 2 : 1;
  if (lane == 0) {
    arrive_expecting(&shared.q_full[slot],
                     static_cast<uint32_t>(halves * sizeof shared.q[slot][0]));
  }
  __syncwarp();
  if (half < halves && column < Shape::kQueryColumns) {
    copy_box(&map, &shared.q[slot][half][column], &shared.q_full[slot], column * kColumn, work.head,
             work.row + 64 * half);
  }
}

// The warp that brings everything. counters: of items taken beyond each block's first, and of
// blocks that found no more; the last of those leaves both zero.
template <class Shape>
struct PromptSource {
  static constexpr int kKeys = Shape::kKeys;
  const PromptMaps& maps;
  const AttentionArgs& args;
  PromptShared<Shape>& shared;
  int lane;
  Ring<Shape::kStages> k, v;
  Ring<Shape::kSlots> slot;
  WorkCursor cursor;

  __device__ __forceinline__ void bring_keys(const PromptWork& work, int tile) {
    bring<kKeys, Shape::kQueryColumns>(maps.k, work, tile, shared.k[k.stage],
                                       &shared.k_full[k.stage], &shared.k_empty[k.stage], k.parity);
    k.advance();
  }

  __device__ __forceinline__ void bring_values(const PromptWork& work, int tile) {
    bring<kKeys, Shape::kValueColumns>(maps.v, work, tile, shared.v[v.stage],
                                       &shared.v_full[v.stage], &shared.v_empty[v.stage], v.parity);
    v.advance();
  }

  __device__ __forceinline__ void find(int32_t index, PromptWork& work) {
    if (!find_work<kHopperRows>(args, cursor, index, work)) work.sequence = -1;
  }

  // Tells what the work is, and brings what its first product takes.
  __device__ __forceinline__ void start(const PromptWork& work) {
    wait(&shared.q_empty[slot.stage], slot.parity ^ 1);
    if (lane == 0) shared.work[slot.stage] = work;
    if (work.sequence < 0) {
      if (lane == 0) arrive(&shared.q_full[slot.stage]);
      return;
    }
    bring_queries(maps.q, work, shared, slot.stage);
    bring_keys(work, key_tiles<kKeys>(work) - 1);
    slot.advance();
  }

  __device__ __forceinline__ void bring_all(int32_t* counters) {
    int32_t index = static_cast<int32_t>(blockIdx.x);
    PromptWork work, following;
    find(index, work);
    start(work);
    while (work.sequence >= 0) {
      const auto take_next = [&] {
        if (lane == 0) index = static_cast<int32_t>(gridDim.x) + atomicAdd(counters, 1);
      };
      const int last = key_tiles<kKeys>(work) - 1;
      if (last == 0) take_next();
#pragma unroll 1
      for (int tile = last; tile > 0; --tile) {
        if (tile == 1) take_next();
        bring_keys(work, tile - 1);
        bring_values(work, tile);
      }
      find(__shfl_sync(~0u, index, 0), following);
      bring_values(work, 0);
      start(following);
      work = following;
    }
    if (lane == 0 && atomicAdd(counters + 1, 1) == static_cast<int32_t>(gridDim.x) - 1) {
      counters[0] = 0;
      counters[1] = 0;
    }
  }
};

#endif

}  // namespace tensormill
