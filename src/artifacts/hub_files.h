#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// A file of a repository, as the hub lists it.
struct HubFile {
  std::string path;
  int64_t size = -1;   // -1: not said
  std::string sha256;  // of a large file; "" for the others
  std::string blob;    // git's name of a small file; "" where it wasn't said
};

struct HubListing {
  std::string commit;
  std::vector<HubFile> files;
};

// The reply of /api/models/ID/revision/REVISION?blobs=true. Files with unsafe paths are left out.
// Errors: kArtifactInvalid naming `origin`.
HubListing parse_model_info(std::string_view json, const std::string& origin);

// What of a model is to be fetched.
enum class ModelParts : uint8_t { kAll, kWithoutWeights };

// What serving a model needs of its files.
struct NeededFiles {
  std::vector<std::string> companions;  // configuration, tokenizer, chat templates
  std::string index;  // "model.safetensors.index.json", which names the weights; "": there is none
  std::vector<std::string> weights;  // where there is no index
  bool adapter = false;              // files of an adapter: its base is a model of its own
  std::string variant;               // "fp16" where the files chosen are named so
};

// Chooses by names: one format of weights, safetensors before pytorch_model.bin before a single
// GGUF file; `variant` "fp16" takes model.fp16.safetensors. No weights: index and weights are
// empty. Errors: kNotFound for a variant that isn't there, naming those that are; kUnsupported for
// several GGUF files.
NeededFiles choose_files(const std::vector<std::string>& names, const std::string& variant,
                         const std::string& label);

// The shards that an index names, in ascending order. Errors: kArtifactInvalid.
std::vector<std::string> shards_of_index(const std::filesystem::path& index);

// What a folder lacks to be loaded, "" for nothing: for a snapshot that may not be complete.
std::string missing_of_folder(const std::filesystem::path& folder, ModelParts parts,
                              const std::string& variant);

// The files of a folder and the folders in it, relative with slashes.
std::vector<std::string> names_in_folder(const std::filesystem::path& folder);

}  // namespace tensormill
