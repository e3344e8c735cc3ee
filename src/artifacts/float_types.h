#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "artifacts/safetensors_writer.h"
#include "artifacts/tensor_index.h"
#include "tensor/dtype.h"

namespace tensormill {

bool is_float(DType type);  // f64, f32, f16 or bf16

// `count` values of a float type to float32.
void widen(const void* in, DType type, size_t count, float* out);

// Appends float32 values in the type f32, f16 or bf16 (to nearest, ties to even). A finite value
// beyond float16's range is kArtifactInvalid, naming `tensor`.
void narrow(const float* in, size_t count, DType type, const std::string& tensor,
            std::vector<std::byte>& out);

// Called with the bytes done and all bytes, often.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

// Writes all tensors of a checkpoint to one file, float ones as `type` or, without it, as stored.
// Holds a few MiB at a time. Errors: kArtifactInvalid as narrow(); kInternal when writing fails.
void write_checkpoint(const TensorIndex& index, const DType* type,
                      const std::filesystem::path& file, const Progress& progress);

}  // namespace tensormill
