#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "kernels/cpu_stream.h"
#include "kernels/cuda.h"
#include "models/model.h"

namespace tensormill {

// Whether the tests of models and engine run on the first GPU: TENSORMILL_TEST_DEVICE=cuda.
inline bool on_gpu() {
  const char* device = std::getenv("TENSORMILL_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

// Sets where a model is loaded and runs: the tests' device, whose CPU uses the team.
inline void run_on_test_device(LoadOptions& options, ThreadTeam* team) {
  if (on_gpu()) {
    static const std::unique_ptr<CudaDevice> gpu = open_cuda(0);
    options.kernels = &gpu->kernels();
    options.stream = gpu->stream();
    options.device = gpu.get();
    return;
  }
  options.kernels = cpu_kernels("auto");
  options.stream = cpu_stream(team);
}

}  // namespace tensormill
