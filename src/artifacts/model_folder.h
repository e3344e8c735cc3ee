#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tensormill {

// Where the parts of a model lie that was given as one folder.
struct ModelFolder {
  std::filesystem::path given;
  std::filesystem::path base;       // config.json and the weights; `given` unless that's an adapter
  std::filesystem::path tokenizer;  // its files; those beside an adapter win over the base's
  bool adapter = false;             // `given` holds a LoRA adapter of `base`
};

// An adapter's base is the path that its configuration names, absolute, relative to the adapter's
// folder or to the current one, else a model of the hub in this machine's cache. Errors: kNotFound
// for a base that isn't there; kUnsupported for one of another format; those of
// read_adapter_config. A folder without adapter_config.json is never an error.
ModelFolder find_model_parts(const std::filesystem::path& folder);

// The folder of a model that the hub's own tools have downloaded: "org/name" at `revision` (empty:
// main). Looks where HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME say, else in ~/.cache/huggingface.
std::optional<std::filesystem::path> cached_hub_model(const std::string& id,
                                                      const std::string& revision);

}  // namespace tensormill
