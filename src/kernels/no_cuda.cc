// What a build without CUDA says of GPUs.

#include "base/error.h"
#include "kernels/cuda.h"

namespace tensormill {

bool built_with_cuda() {
  return false;
}

std::string cuda_versions() {
  return "";
}

std::vector<CudaInfo> cuda_devices() {
  return {};
}

CudaState cuda_state(int /*index*/) {
  return {};
}

std::unique_ptr<CudaDevice> open_cuda(int index) {
  throw_error(ErrorKind::kUnsupported, "cuda:{}: this program was built without CUDA", index);
}

}  // namespace tensormill
