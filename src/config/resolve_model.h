#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/layers.h"
#include "config/model_item.h"

namespace tensormill {

using KeyValues = std::vector<std::pair<std::string, std::string>>;

// Everything that decides about one model.
struct ModelSources {
  const Settings* server = nullptr;
  const Variables* variables = nullptr;
  std::filesystem::path base, store;  // of relative urls; store may be empty
  KeyValues request, overrides;
  ModelFetcher fetch;  // may be empty
};

// Base of relative paths in files and variables: MODEL_SERVER_HOME, else the current directory.
std::filesystem::path home_folder(const Variables& variables);

// Errors: those of resolve_model.
ModelConfig resolve_item(const ModelItem& item, const ModelSources& sources);

// A model of the hub on the command line: no folder of its own, so no serving.properties.
ModelConfig resolve_hub_item(const ModelItem& item, const ModelSources& sources);

// The model that HF_MODEL_ID names, likewise.
ModelConfig resolve_hub_variable(const ModelSources& sources);

// Replaces the keys of the original's engine by those of a file in its own JSON format.
// Errors: kConfigInvalid for an unknown key or a wrong type; those of read_json_file.
void put_deepspeed_config(Layers& layers, const std::filesystem::path& file);

}  // namespace tensormill
