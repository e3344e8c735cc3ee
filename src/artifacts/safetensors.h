#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "artifacts/tensor_file.h"

namespace tensormill {

// Reads a safetensors file: an 8-byte header length, a JSON header, the tensors' bytes without
// gaps or overlaps. Tensors view the mapped file and may be unaligned.
// Errors: kNotFound; kArtifactInvalid; kUnsupported for an element type that DType lacks.
TensorFile read_safetensors(const std::filesystem::path& file);

// The same, but the file may end after its header: its tensors then have no data (null).
TensorFile read_safetensors_header(const std::filesystem::path& file);

// The same as read_safetensors for bytes that outlive the result. `origin` names them in messages.
TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& origin,
                             bool may_lack_data = false);

}  // namespace tensormill
