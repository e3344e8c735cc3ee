#pragma once

#include <memory>
#include <string>

#include "base/thread_team.h"
#include "kernels/cuda.h"
#include "kernels/table.h"
#include "tensor/device.h"

namespace tensormill {

// Where a model runs. Must outlive it.
struct Place {
  std::unique_ptr<CudaDevice> gpu;  // null: on the host
  const KernelTable* kernels = nullptr;
  Stream stream = nullptr;
  Device* device = nullptr;
};

// device: "cpu", "cuda" (the first GPU), "cuda:N", or "auto": the first GPU that this program has
// kernels for, else the CPU, whose level cpu_level forces (see cpu_kernels()). Errors: kUnsupported
// for a device or level that isn't there, kConfigInvalid for another name.
Place open_place(const std::string& device, const std::string& cpu_level, ThreadTeam& team);

}  // namespace tensormill
