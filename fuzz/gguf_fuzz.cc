#include <vector>

#include "artifacts/gguf.h"
#include "base/error.h"
#include "base/json.h"
#include "models/gguf_family.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tensormill::GgufFile;
  try {
    const auto file = GgufFile::parse({reinterpret_cast<const std::byte*>(data), size}, "input");
    for (const auto& [name, tensor] : file.tensors()) {
      std::vector<float> block(static_cast<size_t>(tensor.type->elements));
      const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.data.data());
      for (size_t at = 0; at < tensor.data.size(); at += static_cast<size_t>(tensor.type->bytes)) {
        tensor.type->dequantize(bytes + at, block.data());
      }
    }
    const auto& family = tensormill::find_gguf_family(file);
    family.config(file);
    for (const auto& [name, tensor] : file.tensors()) {
      const auto source = family.source(file, name);
      if (source.row) source.row(0);
    }
  } catch (const tensormill::Error&) {
  }
  return 0;
}
