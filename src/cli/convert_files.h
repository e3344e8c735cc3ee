#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "artifacts/float_types.h"
#include "base/json.h"

namespace tensormill {

// What the sources of `convert` share. Include it in .cc files only.

std::optional<DType> parse_target_type(const std::string& name);  // --dtype; none: as stored
const char* torch_name(DType type);                               // config.json's "torch_dtype"

// Errors: kArtifactInvalid (a text that is no UTF-8); kInternal.
void write_json(const std::filesystem::path& file, const OrderedJson& json, int indent);

// A line that moves on a terminal; one line at the end elsewhere.
Progress weights_progress();

// Converts a checkpoint of Megatron-LM into the folder `out`. `heads`: 0 when not given.
void convert_megatron(const std::filesystem::path& in, std::optional<DType> asked, int heads,
                      const std::filesystem::path& out);

}  // namespace tensormill
