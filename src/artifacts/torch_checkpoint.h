#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "artifacts/tensor_file.h"

namespace tensormill {

// Reads the tensors of a file that torch.save wrote, of any version, without running anything in
// it. A top-level dictionary without tensors hands over to its "state_dict", "model" or "module".
// Contiguous tensors view the mapped file; others are copied. Errors: kNotFound; kArtifactInvalid
// naming file and tensor.
TensorFile read_torch_checkpoint(const std::filesystem::path& file);

// The same for bytes that outlive the result. `origin` names them in messages.
TensorFile parse_torch_checkpoint(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace tensormill
