#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tensormill {

// Include this in .cc files only: it is slow to compile. Headers use <nlohmann/json_fwd.hpp>.
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// Parses a file of at most 1 GiB. Errors: kNotFound; kArtifactInvalid naming the file, line and
// column.
Json read_json_file(const std::filesystem::path& file);
// What such a file holds, not parsed.
std::string read_json_text(const std::filesystem::path& file);
// The same as read_json_file() for text that came from `origin`, nested at most 512 deep.
// kArtifactInvalid.
Json parse_json(std::string_view text, std::string_view origin);

}  // namespace tensormill
