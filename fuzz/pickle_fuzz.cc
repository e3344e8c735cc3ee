#include "artifacts/torch_checkpoint.h"
#include "artifacts/unpickler.h"
#include "base/error.h"

// The first byte chooses: a bare pickle, or a whole zip archive.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  try {
    if (data[0] % 2 == 0) {
      tensormill::unpickle(bytes, "input");
      return 0;
    }
    const auto file = tensormill::parse_torch_checkpoint(bytes, "input");
    volatile std::byte sink{};
    for (const auto& tensor : file.tensors) {
      const size_t count =
          static_cast<size_t>(tensor.view.elements()) * tensormill::dtype_size(tensor.view.type);
      if (count > 0) sink = static_cast<const std::byte*>(tensor.view.data)[count - 1];
    }
    static_cast<void>(sink);
  } catch (const tensormill::Error&) {
  }
  return 0;
}
