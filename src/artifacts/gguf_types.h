#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tensormill {

// An element type of GGUF files: blocks of `elements` values in `bytes` bytes.
struct GgufType {
  uint32_t id;
  const char* name;
  int64_t elements, bytes;
  bool quantized;
  // Widens one block to float32, bit for bit as the format's reference does.
  void (*dequantize)(const uint8_t* block, float* out);
};

// Null for a type that isn't supported.
const GgufType* find_gguf_type(uint32_t id);
// The names of all supported types, for messages.
std::string supported_gguf_types();

}  // namespace tensormill
