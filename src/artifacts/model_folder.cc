#include "artifacts/model_folder.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "artifacts/adapter.h"
#include "base/error.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string path = variable(name); !path.empty()) return path;
  }
  if (const std::string home = variable("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  const std::string cache = variable("XDG_CACHE_HOME");
  const fs::path root = cache.empty() ? fs::path(variable("HOME")) / ".cache" : fs::path(cache);
  return root / "huggingface" / "hub";
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool has_any(const fs::path& folder, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return fs::exists(folder / name); });
}

fs::path find_base(const fs::path& folder, const AdapterConfig& config) {
  constexpr const char* kKey = "base_model_name_or_path";
  if (config.base.empty() || config.base.find('\0') != std::string::npos) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\": expected the base model's folder or id",
                config.file, kKey);
  }
  for (const fs::path& place : {folder / config.base, fs::absolute(config.base)}) {
    if (is_folder(place)) return place.lexically_normal();
  }
  if (const auto cached = cached_hub_model(config.base, config.revision)) return *cached;
  throw_error(
      ErrorKind::kNotFound,
      "{}: \"{}\": the base model \"{}\" is neither a folder (absolute, or relative to {} or "
      "the current one) nor in the hub's cache {}; download it, or write its folder there",
      config.file, kKey, config.base, folder.string(), hub_cache().string());
}

void check_base(const fs::path& base, const AdapterConfig& config) {
  if (is_adapter_folder(base)) {
    throw_error(ErrorKind::kUnsupported,
                "{}: its base {} is an adapter, too; merge that one first: tensormill convert",
                config.file, base.string());
  }
  if (has_any(base, {"config.json"})) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(base)) {
    if (entry.path().extension() != ".gguf") continue;
    throw_error(ErrorKind::kUnsupported,
                "{}: its base {} is a GGUF file, whose tensors have other names and quantized "
                "values; convert it first: tensormill convert",
                config.file, entry.path().string());
  }
}

}  // namespace

std::optional<fs::path> cached_hub_model(const std::string& id, const std::string& revision) {
  const size_t slash = id.find('/');
  const bool plain = !id.empty() && id[0] != '.' && id[0] != '/' && id.find("..") == id.npos &&
                     revision.find("..") == revision.npos;
  if (!plain || (slash != id.npos && id.find('/', slash + 1) != id.npos)) return std::nullopt;
  std::string name = "models--" + id;
  if (slash != id.npos) name.replace(name.find('/'), 1, "--");
  const fs::path repository = hub_cache() / name;
  const std::string asked = revision.empty() ? "main" : revision;
  std::string commit = asked;
  if (std::ifstream file(repository / "refs" / asked); file) file >> commit;
  const fs::path snapshot = repository / "snapshots" / commit;
  return is_folder(snapshot) ? std::optional(snapshot) : std::nullopt;
}

ModelFolder find_model_parts(const fs::path& folder) {
  ModelFolder parts{folder, folder, folder, false};
  if (!is_folder(folder) || !is_adapter_folder(folder)) return parts;
  const AdapterConfig config = read_adapter_config(folder / "adapter_config.json");
  parts.adapter = true;
  parts.base = find_base(folder, config);
  check_base(parts.base, config);
  if (!has_any(folder, {"tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model"})) {
    parts.tokenizer = parts.base;
  }
  return parts;
}

}  // namespace tensormill
