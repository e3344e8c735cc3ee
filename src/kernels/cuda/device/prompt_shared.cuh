#pragma once

// What the two sides of Hopper's prompt attention share: shapes, tensor maps, and shared memory
// with its barriers.

#include "kernels/cuda/device/prompt_wgmma.cuh"
#include "kernels/cuda/device/prompt_work.cuh"

namespace tensormill {

inline constexpr int kHopperRows = 128;
inline constexpr int kHopperThreads = 384;  // the warpgroup of copies and two of products
inline constexpr int kWorkWarps = 8;
inline constexpr int kColumn = 64;  // elements of a row of 128 bytes

// Head dims are padded to these with zeros. What shared memory and registers hold follows.
template <int kQueryDim, int kValueDim>
struct HopperShape {
  static constexpr int kKeys = kQueryDim > 192 ? 64 : 128;  // of a tile
  static constexpr int kSlots = kQueryDim > 128 ? 1 : 3;    // tiles of queries
  static constexpr int kStages = kQueryDim == 64 ? 4 : 2;
  static constexpr int kQueryColumns = kQueryDim / kColumn, kValueColumns = kValueDim / kColumn;
  static constexpr int kPart = kValueDim > 128 ? 128 : kValueDim;  // values of one product
  static constexpr int kParts = kValueDim / kPart;
};

template <int kKeys, int kColumns>
using KeyTile = uint16_t[kColumns][kKeys * kColumn];

struct alignas(64) TensorMap {
  uint64_t words[16];  // a CUtensorMap
};

// Queries {dim, heads, rows}; keys and values {dim, tokens of a block, heads, blocks}.
struct PromptMaps {
  TensorMap q, k, v;
};

template <class Shape>
struct PromptShared {
  uint16_t q[Shape::kSlots][2][Shape::kQueryColumns][64 * kColumn];  // by warpgroup
  KeyTile<Shape::kKeys, Shape::kQueryColumns> k[Shape::kStages];
  KeyTile<Shape::kKeys, Shape::kValueColumns> v[Shape::kStages];
  PromptWork work[Shape::kSlots];
  uint64_t q_full[Shape::kSlots], q_empty[Shape::kSlots];
  uint64_t k_full[Shape::kStages], k_empty[Shape::kStages];
  uint64_t v_full[Shape::kStages], v_empty[Shape::kStages];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// A place in a ring of stages. Who fills starts a phase ahead.
template <int kStages>
struct Ring {
  int stage = 0;
  uint32_t parity = 0;
  __device__ __forceinline__ void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

template <class Shape>
__device__ __forceinline__ void init_shared(PromptShared<Shape>& shared) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < Shape::kSlots; ++i) {
      init_barrier(&shared.q_full[i], 1);
      init_barrier(&shared.q_empty[i], kWorkWarps);
    }
    for (int i = 0; i < Shape::kStages; ++i) {
      init_barrier(&shared.k_full[i], 1);
      init_barrier(&shared.v_full[i], 1);
      init_barrier(&shared.k_empty[i], kWorkWarps);
      init_barrier(&shared.v_empty[i], kWorkWarps);
    }
    publish_barriers();
  }
  __syncthreads();
}

__device__ __forceinline__ int32_t first_key(const PromptWork& work) {
  return work.begin / kBlockTokens * kBlockTokens;
}
template <int kKeys>
__device__ __forceinline__ int32_t key_tiles(const PromptWork& work) {
  return (work.end - first_key(work) + kKeys - 1) / kKeys;
}

#endif

}  // namespace tensormill
