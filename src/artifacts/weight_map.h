#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

namespace tensormill {

// The {"weight_map": {tensor: file}} of an index of shards, both ways.
struct WeightMap {
  std::map<std::string, std::set<std::string>> files;
  std::map<std::string, std::string, std::less<>> file_of;
};

// `origin` names the index in messages. Errors: kArtifactInvalid naming the tensor whose file isn't
// the name of one in the same folder.
WeightMap parse_weight_map(const nlohmann::json& index, const std::string& origin);

}  // namespace tensormill
