#include <algorithm>
#include <map>
#include <set>

#include "artifacts/safetensors.h"
#include "artifacts/tensor_index.h"
#include "artifacts/torch_checkpoint.h"
#include "artifacts/weight_files.h"
#include "artifacts/weight_map.h"
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
  TensorValues read(const NamedTensor& tensor, int64_t first, int64_t count) const override {
    return {rows_of(tensor.view, first, count), nullptr};
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

// Of a shard's tensors those that the index doesn't put elsewhere.
void add_shard(const fs::path& index, const WeightMap& shards, const std::string& name, Reader read,
               TensorFile& all) {
  const fs::path path = index.parent_path() / name;
  const std::set<std::string>& expected = shards.files.at(name);
  if (!fs::exists(path)) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: names the shard \"{}\" ({} tensors, \"{}\" among them), which is not there",
                index.string(), name, expected.size(), *expected.begin());
  }
  TensorFile shard = read(path);
  std::set<std::string_view> found;
  for (const NamedTensor& tensor : shard.tensors) found.insert(tensor.name);
  for (const std::string& tensor : expected) {
    if (found.count(tensor) > 0) continue;
    throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" is not in its shard \"{}\"",
                index.string(), tensor, name);
  }
  for (NamedTensor& tensor : shard.tensors) {
    const auto place = shards.file_of.find(tensor.name);
    if (place == shards.file_of.end() || place->second == name) {
      all.tensors.push_back(std::move(tensor));
    }
  }
  all.owners.insert(all.owners.end(), shard.owners.begin(), shard.owners.end());
  all.mapped.insert(all.mapped.end(), shard.mapped.begin(), shard.mapped.end());
}

TensorFile read_shards(const fs::path& index, Reader read) {
  const WeightMap shards = parse_weight_map(read_json_file(index), index.string());
  TensorFile all;
  for (const auto& shard : shards.files) add_shard(index, shards, shard.first, read, all);
  std::sort(all.tensors.begin(), all.tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  for (size_t i = 1; i < all.tensors.size(); ++i) {
    const NamedTensor &one = all.tensors[i - 1], &other = all.tensors[i];
    if (one.name != other.name) continue;
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: does not name the tensor \"{}\", which is in two shards: {} and {}",
                index.string(), one.name, one.file, other.file);
  }
  return all;
}

std::unique_ptr<TensorIndex> open_folder(const fs::path& folder, const std::string& variant,
                                         Reader read_safetensors_file) {
  const WeightFiles files = choose_weight_files(folder, variant);
  const Reader read =
      files.form == WeightFiles::Form::kTorch ? read_torch_checkpoint : read_safetensors_file;
  return std::make_unique<FileTensorIndex>(files.sharded ? read_shards(files.file, read)
                                                         : read(files.file));
}

}  // namespace

std::unique_ptr<TensorIndex> make_tensor_index(TensorFile file) {
  return std::make_unique<FileTensorIndex>(std::move(file));
}

TensorView rows_of(const TensorView& view, int64_t first, int64_t count) {
  if (view.shape.empty() || (first == 0 && count == view.shape[0])) return view;
  TensorView part = view;
  part.shape[0] = count;
  const int64_t width = view.shape[0] == 0 ? 0 : view.elements() / view.shape[0];
  part.data = static_cast<const std::byte*>(view.data) +
              static_cast<size_t>(first * width) * dtype_size(view.type);
  return part;
}

std::unique_ptr<TensorIndex> open_checkpoint(const fs::path& folder, const std::string& variant) {
  return open_folder(folder, variant, read_safetensors);
}

std::unique_ptr<TensorIndex> open_headers(const fs::path& folder, const std::string& variant) {
  return open_folder(folder, variant, read_safetensors_header);
}

}  // namespace tensormill
