#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/json_node.h"

namespace tensormill {

// Tokens and their ids, both ways.
class Vocabulary {
 public:
  Vocabulary() = default;
  explicit Vocabulary(const JsonNode& object);  // {"token": id}
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  void add(std::string token, int32_t id);  // a token that is there keeps its first id
  std::optional<int32_t> id_of(std::string_view token) const;
  std::string_view token(int32_t id) const;
  int32_t size() const { return static_cast<int32_t>(ids_.size()); }
  int32_t id_bound() const { return static_cast<int32_t>(tokens_.size()); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  std::vector<const std::string*> tokens_;  // by id; null where unused
};

}  // namespace tensormill
