#include <algorithm>
#include <map>
#include <set>

#include "artifacts/safetensors.h"
#include "artifacts/tensor_index.h"
#include "artifacts/torch_checkpoint.h"
#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;
using Reader = TensorFile (*)(const fs::path&);

class FileTensorIndex final : public TensorIndex {
 public:
  explicit FileTensorIndex(TensorFile file) : file_(std::move(file)) {}

  const NamedTensor* find(std::string_view name) const override {
    const auto& all = file_.tensors;
    const auto place = std::lower_bound(
        all.begin(), all.end(), name,
        [](const NamedTensor& tensor, std::string_view key) { return tensor.name < key; });
    return place != all.end() && place->name == name ? &*place : nullptr;
  }
  void release(const NamedTensor& tensor) const override {
    const auto bytes = static_cast<size_t>(tensor.view.elements()) * dtype_size(tensor.view.type);
    for (const auto& file : file_.mapped) {
      file->release({static_cast<const std::byte*>(tensor.view.data), bytes});
    }
  }
  const std::vector<NamedTensor>& tensors() const override { return file_.tensors; }

 private:
  TensorFile file_;
};

// The index's {"weight_map": {tensor: file}}, by file.
std::map<std::string, std::set<std::string>> read_weight_map(const fs::path& index) {
  const Json json = read_json_file(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"weight_map\": expected an object",
                index.string());
  }
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: \"weight_map\".\"{}\": expected a file name",
                  index.string(), tensor);
    }
    const auto& name = file.get_ref<const std::string&>();
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: \"weight_map\".\"{}\": \"{}\": expected a file name in the same folder",
                  index.string(), tensor, name);
    }
    shards[name].insert(tensor);
  }
  return shards;
}

TensorFile read_shards(const fs::path& index, Reader read) {
  TensorFile all;
  for (const auto& [name, expected] : read_weight_map(index)) {
    const fs::path path = index.parent_path() / name;
    if (!fs::exists(path)) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: names the shard \"{}\" ({} tensors, \"{}\" among them), which is not there",
                  index.string(), name, expected.size(), *expected.begin());
    }
    TensorFile shard = read(path);
    size_t found = 0;
    for (NamedTensor& tensor : shard.tensors) {
      if (expected.count(tensor.name) == 0) continue;  // the index puts it elsewhere
      ++found;
      all.tensors.push_back(std::move(tensor));
    }
    if (found != expected.size()) {
      for (const std::string& tensor : expected) {
        const bool there = std::any_of(all.tensors.begin(), all.tensors.end(),
                                       [&](const NamedTensor& t) { return t.name == tensor; });
        if (!there) {
          throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" is not in its shard \"{}\"",
                      index.string(), tensor, name);
        }
      }
    }
    all.owners.insert(all.owners.end(), shard.owners.begin(), shard.owners.end());
    all.mapped.insert(all.mapped.end(), shard.mapped.begin(), shard.mapped.end());
  }
  std::sort(all.tensors.begin(), all.tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  return all;
}

// Files of the folder whose names begin and end so, adapters left out, in ascending order.
std::vector<fs::path> files_named(const fs::path& folder, std::string_view prefix,
                                  std::string_view suffix) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.size() >= prefix.size() + suffix.size() && name.starts_with(prefix) &&
        name.ends_with(suffix) && !name.starts_with("adapter_")) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

[[noreturn]] void too_many(const fs::path& folder, const std::vector<fs::path>& files,
                           std::string_view index) {
  throw_error(ErrorKind::kArtifactInvalid,
              "{}: {} weight files (\"{}\", \"{}\", ...) and no {}: expected one file or an index",
              folder.string(), files.size(), files[0].filename().string(),
              files[1].filename().string(), index);
}

TensorFile read_folder(const fs::path& folder, Reader read_safetensors_file) {
  const fs::path safetensors_index = folder / "model.safetensors.index.json";
  if (fs::exists(safetensors_index)) return read_shards(safetensors_index, read_safetensors_file);
  if (fs::exists(folder / "model.safetensors")) {
    return read_safetensors_file(folder / "model.safetensors");
  }
  const auto safetensors = files_named(folder, "", ".safetensors");
  if (safetensors.size() == 1) return read_safetensors_file(safetensors[0]);

  const fs::path torch_index = folder / "pytorch_model.bin.index.json";
  if (fs::exists(torch_index)) return read_shards(torch_index, read_torch_checkpoint);
  if (fs::exists(folder / "pytorch_model.bin")) {
    return read_torch_checkpoint(folder / "pytorch_model.bin");
  }
  const auto torch = files_named(folder, "pytorch_model", ".bin");
  if (torch.size() == 1) return read_torch_checkpoint(torch[0]);

  if (safetensors.size() > 1) too_many(folder, safetensors, safetensors_index.filename().string());
  if (torch.size() > 1) too_many(folder, torch, torch_index.filename().string());
  throw_error(ErrorKind::kNotFound,
              "{}: no weights: expected model.safetensors, pytorch_model.bin or the index of their "
              "shards",
              folder.string());
}

std::unique_ptr<TensorIndex> open_folder(const fs::path& folder, Reader read_safetensors_file) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    throw_error(ErrorKind::kNotFound, "{}: expected a model folder", folder.string());
  }
  return std::make_unique<FileTensorIndex>(read_folder(folder, read_safetensors_file));
}

}  // namespace

std::unique_ptr<TensorIndex> make_tensor_index(TensorFile file) {
  return std::make_unique<FileTensorIndex>(std::move(file));
}

std::unique_ptr<TensorIndex> open_checkpoint(const fs::path& folder) {
  return open_folder(folder, read_safetensors);
}

std::unique_ptr<TensorIndex> open_headers(const fs::path& folder) {
  return open_folder(folder, read_safetensors_header);
}

}  // namespace tensormill
