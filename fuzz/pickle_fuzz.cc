#include "artifacts/torch_checkpoint.h"
#include "artifacts/torch_tree.h"
#include "artifacts/unpickler.h"
#include "base/error.h"

namespace {

void touch(const tensormill::TensorFile& file) {
  volatile std::byte sink{};
  for (const auto& tensor : file.tensors) {
    const size_t count =
        static_cast<size_t>(tensor.view.elements()) * tensormill::dtype_size(tensor.view.type);
    if (count > 0) sink = static_cast<const std::byte*>(tensor.view.data)[count - 1];
  }
  static_cast<void>(sink);
}

}  // namespace

// The first byte chooses: a bare pickle, a whole file of tensors, or one that nests them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  try {
    switch (data[0] % 3) {
      case 0:
        tensormill::unpickle(bytes, "input");
        break;
      case 1:
        touch(tensormill::parse_torch_checkpoint(bytes, "input"));
        break;
      default: {
        tensormill::TorchTree tree(bytes, "input", nullptr);
        for (const std::string& key : tree.keys()) {
          tree.attributes(key);
          touch(tree.tensors(key));
        }
      }
    }
  } catch (const tensormill::Error&) {
  }
  return 0;
}
