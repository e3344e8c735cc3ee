#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace tensormill {

// Which lines of a merges.txt are merges. The reference's classes differ.
enum class MergeLines {
  kInner,       // not the first one, and only lines that end
  kAllEnded,    // all lines that end
  kAfterTitle,  // all but empty ones and a title "#version:" in the first
  kClip,        // as CLIP cuts them
};

using FileMerges = std::vector<std::pair<std::string, std::string>>;

// Lines "left right". kArtifactInvalid naming file and line.
FileMerges read_merges_file(const std::filesystem::path& file, MergeLines lines);
// {"token": id}; kArtifactInvalid naming two tokens that share an id.
Json read_vocabulary_json(const std::filesystem::path& file);
// One token a line; of equal ones the last line counts. kArtifactInvalid for lines that are no
// UTF-8.
std::vector<std::string> read_token_lines(const std::filesystem::path& file);
// "base64 rank" lines in the file's order, the tokens as bytes.
std::vector<std::pair<std::string, int32_t>> read_tiktoken_file(const std::filesystem::path& file);

std::string base64_encode(std::string_view bytes);
Json merges_json(const FileMerges& merges);

}  // namespace tensormill
