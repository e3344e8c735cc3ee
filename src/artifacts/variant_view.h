#pragma once

#include <filesystem>
#include <string>

namespace tensormill {

// A folder of links in which the weights of a variant have the names of plain ones:
// model.fp16.safetensors is model.safetensors there, and its index likewise. Made anew each time,
// below `cache`. Errors: those of choose_files; kConfigInvalid where it can't be made.
std::filesystem::path variant_view(const std::filesystem::path& folder, const std::string& variant,
                                   const std::filesystem::path& cache);

}  // namespace tensormill
