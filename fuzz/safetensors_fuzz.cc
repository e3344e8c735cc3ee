#include "artifacts/safetensors.h"
#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file =
        tensormill::parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "input");
    volatile std::byte sink{};
    for (const auto& tensor : file.tensors) {
      const size_t bytes =
          static_cast<size_t>(tensor.view.elements()) * tensormill::dtype_size(tensor.view.type);
      if (bytes > 0) sink = static_cast<const std::byte*>(tensor.view.data)[bytes - 1];
    }
    static_cast<void>(sink);
  } catch (const tensormill::Error&) {
  }
  return 0;
}
