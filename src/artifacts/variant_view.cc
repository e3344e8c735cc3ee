#include "artifacts/variant_view.h"

#include "artifacts/digest.h"
#include "artifacts/file_lock.h"
#include "artifacts/hub_files.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace tensormill {

fs::path variant_view(const fs::path& folder, const std::string& variant, const fs::path& cache) {
  const fs::path real = fs::canonical(folder);
  const NeededFiles needed = choose_files(names_in_folder(real), variant, folder.string());
  const fs::path view = cache / hex(sha256(real.string() + "\n" + variant)).substr(0, 16);
  const FileLock lock(view.string() + ".lock");
  std::error_code error;
  fs::remove_all(view, error);
  fs::create_directories(view, error);
  const auto link = [&](const std::string& from, const std::string& to) {
    fs::create_directories((view / to).parent_path(), error);
    fs::create_symlink(real / from, view / to, error);
    if (error) {
      throw_error(ErrorKind::kConfigInvalid, "{}: could not be made: {}", (view / to).string(),
                  error.message());
    }
  };
  for (const std::string& name : needed.companions) link(name, name);
  const auto plain = [&](std::string name) {
    const size_t at = name.find("." + variant);
    return at == std::string::npos ? name : name.erase(at, variant.size() + 1);
  };
  if (needed.index.empty()) {
    for (const std::string& name : needed.weights) link(name, plain(name));
    return view;
  }
  // The index names the shards, so these keep their names.
  link(needed.index, plain(needed.index));
  for (const std::string& shard : shards_of_index(real / needed.index)) link(shard, shard);
  return view;
}

}  // namespace tensormill
