#pragma once

// Prompt attention on Hopper. A block stays and takes tiles of 128 query rows of one head until
// none is left. One warp brings queries, keys and values by tensor maps; two warpgroups of 64 rows
// each take turns: while one softens its scores the other's products run.

#include "kernels/cuda/device/prompt_source.cuh"
#include "kernels/cuda/device/prompt_worker.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill {

template <class T, class Shape, bool kTerms>
__global__ __launch_bounds__(kHopperThreads,
                             1) void prompt_hopper(const __grid_constant__ PromptMaps maps,
                                                   const __grid_constant__ AttentionArgs args,
                                                   int32_t* counters) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  release_next();
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<PromptShared<Shape>*>(memory);
  if (threadIdx.x == 0) {
    prefetch_map(&maps.q);
    prefetch_map(&maps.k);
    prefetch_map(&maps.v);
  }
  init_shared(shared);
  wait_for_previous();
  const int group = __shfl_sync(~0u, static_cast<int>(threadIdx.x / 128), 0) - 1;
  if (group < 0) {
    give_registers<40>();
    if (threadIdx.x >= 32) return;
    PromptSource<Shape> source{maps, args, shared, static_cast<int>(threadIdx.x)};
    source.bring_all(counters);
    return;
  }
  take_registers<232>();
  const float scale = kTerms ? kLog2E : args.score.scale * kLog2E;
  const int row = static_cast<int>(threadIdx.x - 128) / 32 * 16;
  PromptWorker<T, Shape, kTerms> worker{shared, args, group, row, {}, {}, {}, 0, 0, 0.0f, scale};
  worker.work_all();
#endif
}

}  // namespace tensormill
