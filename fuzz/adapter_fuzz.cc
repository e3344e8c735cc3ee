#include <algorithm>

#include "artifacts/adapter.h"
#include "artifacts/safetensors.h"
#include "artifacts/tensor_file.h"
#include "base/error.h"

// adapter_config.json, a zero byte, and the adapter's safetensors.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const uint8_t* zero = std::find(data, data + size, 0);
  const std::string_view text(reinterpret_cast<const char*>(data),
                              static_cast<size_t>(zero - data));
  try {
    tensormill::AdapterConfig config =
        tensormill::parse_adapter_config(text, "adapter_config.json");
    for (const char* module :
         {"model.layers.10.self_attn.q_proj", "lm_head", "", "h.0.attn.c_attn"}) {
      config.targets_module(module);
      config.saves_module(module);
      config.scale_of(module);
    }
    if (zero == data + size) return 0;
    const auto rest = static_cast<size_t>(data + size - zero - 1);
    tensormill::make_adapter(
        std::move(config),
        tensormill::make_tensor_index(tensormill::parse_safetensors(
            {reinterpret_cast<const std::byte*>(zero) + 1, rest}, "adapter_model.safetensors")));
  } catch (const tensormill::Error&) {
  }
  return 0;
}
