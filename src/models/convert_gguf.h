#pragma once

#include <filesystem>
#include <optional>

#include "artifacts/float_types.h"
#include "artifacts/gguf.h"

namespace tensormill {

// The type that the tensors get: `asked`; else bf16 for a file with quantized tensors; else the
// type of the most values.
DType gguf_target_type(const GgufFile& file, std::optional<DType> asked);

// Writes all tensors of a GGUF file to one safetensors file under their Hugging Face names, in the
// layout that a Hugging Face model has. Holds a few MiB at a time.
// Errors: kUnsupported (architecture, a tensor that it doesn't know, a split file);
// kArtifactInvalid naming the tensor.
void write_gguf_weights(const GgufFile& file, DType type, const std::filesystem::path& out,
                        const Progress& progress);

}  // namespace tensormill
