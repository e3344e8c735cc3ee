#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/regex.h"

namespace tensormill {

// tiktoken's encoding: a pattern cuts the text, and in each part the neighbours that make the token
// of the lowest rank become one, the leftmost first. Immutable and thread-safe.
class TiktokenBpe {
 public:
  // kArtifactInvalid naming file and line; every byte must be a token.
  TiktokenBpe(const std::filesystem::path& file, std::string_view pattern);
  TiktokenBpe(const TiktokenBpe&) = delete;
  TiktokenBpe& operator=(const TiktokenBpe&) = delete;

  void encode(std::string_view text, std::vector<int32_t>& ids) const;
  int32_t size() const { return static_cast<int32_t>(ranks_.size()); }
  int32_t id_bound() const { return id_bound_; }
  std::optional<int32_t> find(std::string_view bytes) const;
  const std::string* bytes(int32_t id) const;  // null: no such token

 private:
  void encode_part(std::string_view part, std::vector<int32_t>& ids) const;

  Regex pattern_;
  std::vector<std::pair<std::string, int32_t>> tokens_;  // owns the texts of ranks_
  std::unordered_map<std::string_view, int32_t> ranks_;
  std::unordered_map<int32_t, const std::string*> texts_;
  int32_t id_bound_ = 0;
};

}  // namespace tensormill
