#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include "kernels/cuda/context.h"

namespace tensormill {

// Launches `kernel` in the context's order. Where the GPU can (sm_90 and later), the kernel may
// start while the one before still runs. So every kernel that is launched here keeps three rules,
// but for the exceptions below:
// - each block calls release_next() as its first statement: the next kernel may come;
// - each thread that reads or writes anything but weights calls wait_for_previous() before, and
//   every block calls it before it ends, even one without work;
// - nothing is written before wait_for_previous().
// What a step's message holds and what earlier steps wrote may be read before it too, past the L1
// cache (load_now(), load_once()): a message is written by a copy, or by a kernel that releases the
// next one only when it has written. And blocks that know early that they have nothing to do may
// end without a wait, as long as one block of the grid waits.
// cluster: blocks of a cluster along x; more than 1 on sm_90 and later only.
template <class... Parameters, class... Arguments>
void launch_clusters(const CudaContext& context, void (*kernel)(Parameters...), dim3 grid,
                     dim3 block, int cluster, size_t shared, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0) return;  // no rows
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = context.stream;
  cudaLaunchAttribute attributes[2]{};
  config.attrs = attributes;
  if (context.dependent_launch) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  if (cluster > 1) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = static_cast<unsigned>(cluster);
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  }
  check_cuda(cudaLaunchKernelEx(&config, kernel, Parameters(std::forward<Arguments>(arguments))...),
             "cudaLaunchKernelEx");
}

template <class... Parameters, class... Arguments>
void launch(const CudaContext& context, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t shared, Arguments&&... arguments) {
  launch_clusters(context, kernel, grid, block, 1, shared, std::forward<Arguments>(arguments)...);
}

// Allows a kernel more than 48 KiB of dynamic shared memory. Once for each kernel and device.
template <class Kernel>
void allow_shared(Kernel kernel, size_t bytes) {
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)),
             "cudaFuncSetAttribute");
}

template <auto kernel>
void allow_shared_once(const CudaContext& context, size_t bytes) {
  static std::atomic<uint64_t> allowed{0};
  const uint64_t device = uint64_t{1} << (context.device & 63);
  if ((allowed.load(std::memory_order_relaxed) & device) != 0) return;
  allow_shared(kernel, bytes);
  allowed.fetch_or(device, std::memory_order_relaxed);
}

#ifdef __CUDACC__
__device__ __forceinline__ void release_next() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

__device__ __forceinline__ void wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
#endif

}  // namespace tensormill
