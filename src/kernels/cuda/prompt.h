#pragma once

// Parts of prompt attention.

#include <atomic>

#include "kernels/cuda/launch.cuh"

namespace tensormill {

inline constexpr int kLargestPromptDim = 256;

// Scores that are more than scaled products.
inline bool has_terms(const Score& score) {
  return score.softcap != 0 || score.slopes != nullptr || score.scale <= 0;
}

// allow_shared(), once for each device.
template <class Kernel>
void allow_shared_once(Kernel kernel, std::atomic<uint64_t>& devices, size_t bytes, int device) {
  const uint64_t bit = uint64_t{1} << (device % 64);
  if ((devices.load() & bit) != 0) return;
  allow_shared(kernel, bytes);
  devices.fetch_or(bit);
}

// attention_prompt_hopper.cu: what runs_prompt() allows, on GPUs of sm_90.
bool runs_prompt_hopper(const CudaContext& context);
void cuda_attention_prompt_hopper(const AttentionArgs& args, CudaContext& context);

}  // namespace tensormill
