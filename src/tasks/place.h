#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/thread_team.h"
#include "kernels/cuda.h"
#include "kernels/table.h"
#include "tensor/device.h"

namespace tensormill {

// Where a model runs. Must outlive it.
struct Place {
  std::unique_ptr<CudaDevice> gpu;  // null: on the host
  int index = -1;                   // of the GPU
  const KernelTable* kernels = nullptr;
  Stream stream = nullptr;
  Device* device = nullptr;
};

// device: "cpu", "cuda" (the first GPU), "cuda:N", or "auto": the first GPU that this program has
// kernels for, else the CPU, whose level cpu_level forces (see cpu_kernels()). Errors: kUnsupported
// for a device or level that isn't there, kConfigInvalid for another name.
Place open_place(const std::string& device, const std::string& cpu_level, ThreadTeam& team);

// The number of the GPU that open_place() would open; -1: none. Errors: kConfigInvalid.
int gpu_of(const std::string& device);
// Bytes of a GPU's memory that are free; none where there is no such GPU.
std::optional<int64_t> free_on_gpu(int gpu);

}  // namespace tensormill
