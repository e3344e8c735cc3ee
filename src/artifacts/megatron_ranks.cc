#include "artifacts/megatron_ranks.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>

#include "artifacts/megatron_checkpoint.h"
#include "artifacts/zip.h"
#include "base/error.h"
#include "base/mmap.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;
using File = MegatronRanks::File;

constexpr std::string_view kRank = "mp_rank_", kTracker = "latest_checkpointed_iteration.txt";
// The second one where the optimizer lies apart.
constexpr std::string_view kFiles[] = {"model_optim_rng.pt", "model_rng.pt"};
constexpr std::string_view kRelease = "release", kIteration = "iter_";
constexpr size_t kMaxRanks = 4096;

bool is_rank_file(std::string_view name) {
  return std::find(std::begin(kFiles), std::end(kFiles), name) != std::end(kFiles);
}

bool is_rank_folder(const fs::path& folder) {
  return folder.filename().string().starts_with(kRank);
}

std::optional<size_t> number(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value < kMaxRanks ? std::optional(value) : std::nullopt;
}

// The rank of a folder "mp_rank_01" or "mp_rank_01_002"; null when it isn't named so.
std::optional<File> parse_rank(const std::string& name, const std::string& origin) {
  if (!name.starts_with(kRank)) return std::nullopt;
  const std::string_view rest = std::string_view(name).substr(kRank.size());
  const size_t bar = rest.find('_');
  const std::optional<size_t> tensor = number(rest.substr(0, bar));
  const std::optional<size_t> pipeline =
      bar == std::string_view::npos ? 0 : number(rest.substr(bar + 1));
  if (!tensor || !pipeline) {
    throw_error(ErrorKind::kUnsupported,
                "{}: \"{}\": expected mp_rank_T or mp_rank_T_P: tensor and pipeline rank", origin,
                name);
  }
  return File{name, *tensor, *pipeline, {}};
}

// Puts the ranks in order and checks that none is missing.
MegatronRanks grid(std::vector<File> files, const std::string& origin) {
  MegatronRanks ranks;
  for (const File& file : files) {
    ranks.tensor_ranks = std::max(ranks.tensor_ranks, file.tensor + 1);
    ranks.pipeline_ranks = std::max(ranks.pipeline_ranks, file.pipeline + 1);
  }
  std::map<std::pair<size_t, size_t>, File*> by_place;
  for (File& file : files) {
    File*& place = by_place[{file.pipeline, file.tensor}];
    if (place != nullptr) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\" and \"{}\" are the same rank", origin,
                  place->name, file.name);
    }
    place = &file;
  }
  for (size_t pipeline = 0; pipeline < ranks.pipeline_ranks; ++pipeline) {
    for (size_t tensor = 0; tensor < ranks.tensor_ranks; ++tensor) {
      const auto found = by_place.find({pipeline, tensor});
      if (found == by_place.end()) {
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: tensor rank {} of pipeline rank {} is missing: there are {} tensor and {} "
                    "pipeline ranks",
                    origin, tensor, pipeline, ranks.tensor_ranks, ranks.pipeline_ranks);
      }
      ranks.files.push_back(std::move(*found->second));
    }
  }
  return ranks;
}

// Folders in `folder` whose names begin so, in ascending order.
std::vector<fs::path> folders_named(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with(prefix)) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::optional<fs::path> rank_file(const fs::path& folder) {
  for (const std::string_view name : kFiles) {
    if (fs::is_regular_file(folder / name)) return folder / name;
  }
  return std::nullopt;
}

MegatronRanks in_folder(const fs::path& folder) {
  std::vector<File> files;
  for (const fs::path& path : folders_named(folder, kRank)) {
    std::optional<File> file = parse_rank(path.filename().string(), folder.string());
    const std::optional<fs::path> found = rank_file(path);
    if (!found) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: no {} and no {} in it", path.string(),
                  kFiles[0], kFiles[1]);
    }
    file->open = [found] { return TorchTree::open(*found); };
    files.push_back(std::move(*file));
  }
  MegatronRanks ranks = grid(std::move(files), folder.string());
  ranks.beside = {folder};
  const std::string name = folder.filename().string();
  if (name == kRelease || name.starts_with(kIteration))
    ranks.beside.push_back(folder.parent_path());
  return ranks;
}

MegatronRanks single(const fs::path& file) {
  MegatronRanks ranks;
  ranks.files.push_back({file.filename().string(), 0, 0, [file] { return TorchTree::open(file); }});
  return ranks;
}

// The folder that the tracker names; without it release/, or the only iter_*.
fs::path iteration(const fs::path& folder) {
  if (std::ifstream stream(folder / kTracker); stream) {
    std::string word;
    stream >> word;
    size_t step = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), step);
    const bool numeric = error == std::errc() && end == word.data() + word.size();
    if (word != kRelease && !numeric) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: \"{}\": expected \"release\" or the number of an iteration",
                  (folder / kTracker).string(), word.substr(0, 80));
    }
    const fs::path named = folder / (numeric ? fmt::format("iter_{:07d}", step) : word);
    if (fs::is_directory(named)) return named;
    throw_error(ErrorKind::kArtifactInvalid, "{}: {} names \"{}\", which is not there",
                folder.string(), kTracker, named.filename().string());
  }
  if (fs::is_directory(folder / kRelease)) return folder / kRelease;
  const std::vector<fs::path> found = folders_named(folder, kIteration);
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    throw_error(ErrorKind::kNotFound,
                "{}: no mp_rank_00, release or iter_* in it: expected a checkpoint of Megatron-LM",
                folder.string());
  }
  throw_error(ErrorKind::kArtifactInvalid,
              "{}: {} iterations (\"{}\" ...) and no {}: convert the folder of one of them",
              folder.string(), found.size(), found[0].filename().string(), kTracker);
}

// A zip archive of release/mp_rank_00/model_optim_rng.pt and its like.
MegatronRanks in_zip(const fs::path& path, const std::shared_ptr<const MappedFile>& mapped) {
  const auto zip = std::make_shared<ZipArchive>(mapped->bytes(), path.string());
  std::vector<File> files;
  for (const auto& [name, entry] : zip->entries()) {
    const fs::path inner = name;
    if (!is_rank_file(inner.filename().string())) continue;
    const std::string folder = inner.parent_path().filename().string();
    File file = parse_rank(folder, path.string()).value_or(File{name, 0, 0, {}});
    file.open = [zip, mapped, name = name, origin = path.string() + ':' + name] {
      std::vector<std::shared_ptr<const void>> owners = {mapped};
      const std::span<const std::byte> bytes = zip->read(name, owners);
      auto owner = std::make_shared<decltype(owners)>(std::move(owners));
      return TorchTree(bytes, origin, std::move(owner));
    };
    files.push_back(std::move(file));
  }
  return grid(std::move(files), path.string());
}

bool holds_checkpoint(const ZipArchive& zip) {
  return std::any_of(zip.entries().begin(), zip.entries().end(), [](const auto& item) {
    return is_rank_file(fs::path(item.first).filename().string());
  });
}

}  // namespace

MegatronRanks find_megatron_ranks(const fs::path& given) {
  fs::path path = fs::absolute(given).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (!fs::is_directory(path)) {
    const std::shared_ptr<const MappedFile> mapped = MappedFile::open(path);
    const fs::path folder = path.parent_path();
    const bool zipped = ZipArchive::is_zip(mapped->bytes()) &&
                        holds_checkpoint(ZipArchive(mapped->bytes(), path.string()));
    if (!zipped && is_rank_file(path.filename().string()) && is_rank_folder(folder)) {
      return in_folder(folder.parent_path());  // its other ranks lie beside it
    }
    MegatronRanks ranks = zipped ? in_zip(path, mapped) : single(path);
    ranks.beside = {folder};
    return ranks;
  }
  if (is_rank_folder(path)) return in_folder(path.parent_path());
  if (const std::optional<fs::path> file = rank_file(path)) {
    MegatronRanks ranks = single(*file);
    ranks.beside = {path};
    return ranks;
  }
  return in_folder(folders_named(path, kRank).empty() ? iteration(path) : path);
}

bool is_megatron_checkpoint(const fs::path& path) {
  if (!fs::is_directory(path)) {
    const std::shared_ptr<const MappedFile> mapped = MappedFile::open(path);
    return TorchArchive::is_one(mapped->bytes());
  }
  bool found = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors") || name.starts_with("pytorch_model")) return false;
    const bool folder = entry.is_directory();
    found |= folder && (name.starts_with(kRank) || name.starts_with(kIteration));
    found |= folder ? name == kRelease : name == kTracker || is_rank_file(name);
  }
  return found;
}

}  // namespace tensormill
