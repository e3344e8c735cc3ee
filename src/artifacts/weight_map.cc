#include "artifacts/weight_map.h"

#include "base/error.h"
#include "base/json.h"

namespace tensormill {

WeightMap parse_weight_map(const Json& json, const std::string& origin) {
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"weight_map\": expected an object", origin);
  }
  WeightMap shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: \"weight_map\".\"{}\": expected a file name",
                  origin, tensor);
    }
    const auto& name = file.get_ref<const std::string&>();
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: \"weight_map\".\"{}\": \"{}\": expected a file name in the same folder",
                  origin, tensor, name);
    }
    shards.files[name].insert(tensor);
    shards.file_of[tensor] = name;
  }
  return shards;
}

}  // namespace tensormill
