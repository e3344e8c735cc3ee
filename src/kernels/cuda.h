#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "tensor/device.h"

namespace tensormill {

// One GPU's queue and memory with the kernels that run there. Several on one GPU don't disturb each
// other.
class CudaDevice : public Device {
 public:
  virtual const KernelTable& kernels() const = 0;
  virtual Stream stream() = 0;
};

struct CudaInfo {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0, multiprocessors = 0;
  int64_t total = 0;  // bytes of memory
};

// What only a GPU in use can tell; asking takes some of its memory.
struct CudaState {
  bool runs = false;      // this build has kernels for it
  int64_t available = 0;  // bytes of memory
};

// Whether this program was built with CUDA, and the versions of toolkit and libraries.
bool built_with_cuda();
std::string cuda_versions();

// The GPUs that the process may use (CUDA_VISIBLE_DEVICES); none without a driver or in a build
// without CUDA. Never throws.
std::vector<CudaInfo> cuda_devices();

// Of a GPU that cuda_devices() lists. Never throws.
CudaState cuda_state(int index);

// Errors: kUnsupported where there is no such GPU, or this build has no kernels for it.
std::unique_ptr<CudaDevice> open_cuda(int index);

}  // namespace tensormill
