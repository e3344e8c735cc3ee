#include "artifacts/hub_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "artifacts/snapshot_cache.h"
#include "base/error.h"
#include "base/json.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

using Names = std::vector<std::string>;

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Made by training, of no use to serving.
constexpr std::string_view kOfTraining[] = {"trainer_state.json", "all_results.json",
                                            "train_results.json", "eval_results.json",
                                            "training_args.json"};

bool is_companion(std::string_view path) {
  if (path.starts_with("additional_chat_templates/")) return path.ends_with(".jinja");
  if (path.find('/') != std::string_view::npos || path.starts_with('.')) return false;
  if (path.ends_with(".json")) {
    return path.find(".index.") == std::string_view::npos &&
           std::find(std::begin(kOfTraining), std::end(kOfTraining), path) == std::end(kOfTraining);
  }
  for (const std::string_view start : {"LICENSE", "NOTICE", "requirements"}) {
    if (path.starts_with(start)) return false;
  }
  for (const std::string_view end :
       {".txt", ".model", ".jinja", ".tiktoken", ".vocab", ".codes", ".properties"}) {
    if (path.ends_with(end)) return true;
  }
  return false;
}

// The root's names that begin and end so.
Names named(const Names& names, std::string_view begin, std::string_view end) {
  Names found;
  for (const std::string& name : names) {
    if (name.find('/') == std::string::npos && name.starts_with(begin) && name.ends_with(end) &&
        name.size() >= begin.size() + end.size()) {
      found.push_back(name);
    }
  }
  return found;
}

struct Format {
  std::string_view stem, ending;
};
constexpr Format kFormats[] = {{"model", ".safetensors"}, {"pytorch_model", ".bin"}};

std::string index_name(const Format& format, const std::string& variant) {
  const std::string file = std::string(format.stem).append(format.ending) + ".index.";
  return variant.empty() ? file + "json" : file + variant + ".json";
}

std::string file_name(const Format& format, const std::string& variant) {
  std::string stem(format.stem);
  if (!variant.empty()) stem += "." + variant;
  return stem.append(format.ending);
}

bool take_format(const Names& names, const Format& format, const std::string& variant,
                 NeededFiles& needed) {
  if (contains(names, file_name(format, variant))) {
    needed.weights = {file_name(format, variant)};
  } else if (contains(names, index_name(format, variant))) {
    needed.index = index_name(format, variant);
  } else {
    return false;
  }
  needed.variant = variant;
  return true;
}

// "fp16" of model.fp16.safetensors and model.safetensors.index.fp16.json.
std::set<std::string> variants_of(const Names& names, const Format& format) {
  std::set<std::string> variants;
  const auto add = [&](const std::string& begin, std::string_view end) {
    for (const std::string& name : named(names, begin, end)) {
      const std::string middle = name.substr(begin.size(), name.size() - begin.size() - end.size());
      if (!middle.empty() && middle.find_first_of(".-") == std::string::npos) {
        variants.insert(middle);
      }
    }
  };
  add(std::string(format.stem) + ".", format.ending);
  add(std::string(format.stem).append(format.ending) + ".index.", ".json");
  return variants;
}

// A name of its own is fine where there is one file only.
bool take_single(const Names& names, const Format& format, NeededFiles& needed) {
  const bool safetensors = format.ending == ".safetensors";
  Names found = named(names, safetensors ? "" : format.stem, format.ending);
  std::erase_if(found, [](const std::string& name) {
    return name.starts_with("adapter_") || name.starts_with("consolidated");
  });
  if (found.size() != 1) return false;
  needed.weights = found;
  return true;
}

void take_variant(const Names& names, const std::string& variant, const std::string& label,
                  NeededFiles& needed) {
  std::set<std::string> there;
  for (const Format& format : kFormats) {
    if (take_format(names, format, variant, needed)) return;
    there.merge(variants_of(names, format));
  }
  throw_error(ErrorKind::kNotFound, "{}: no weights of variant {}; variants there: {}", label,
              variant, there.empty() ? "none" : fmt::format("{}", fmt::join(there, ", ")));
}

void take_weights(const Names& names, const std::string& label, NeededFiles& needed) {
  for (const Format& format : kFormats) {
    if (take_format(names, format, "", needed)) return;
    const std::set<std::string> variants = variants_of(names, format);
    if (variants.empty() && take_single(names, format, needed)) return;
  }
  for (const Format& format : kFormats) {
    const std::set<std::string> variants = variants_of(names, format);
    if (variants.size() == 1 && take_format(names, format, *variants.begin(), needed)) return;
  }
  const Names gguf = named(names, "", ".gguf");
  if (gguf.size() > 1) {
    throw_error(ErrorKind::kUnsupported,
                "{}: the weights are {} GGUF files ({}, {}, ...): expected one; download the one "
                "you want and give it to `tensormill convert`",
                label, gguf.size(), gguf[0], gguf[1]);
  }
  needed.weights = gguf;
}

}  // namespace

HubListing parse_model_info(std::string_view text, const std::string& origin) {
  const Json json = parse_json(text, origin);
  const auto fail = [&](std::string_view what) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}: is this a hub of models?", origin, what);
  };
  HubListing listing;
  if (!json.is_object() || !json.contains("sha") || !json["sha"].is_string()) {
    fail("\"sha\": expected the commit");
  }
  listing.commit = json["sha"].get<std::string>();
  if (!is_safe_path(listing.commit) || listing.commit.find('/') != std::string::npos) {
    fail("\"sha\": expected the commit");
  }
  if (!json.contains("siblings") || !json["siblings"].is_array()) {
    fail("\"siblings\": expected the files");
  }
  const auto text_of = [](const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  for (const Json& entry : json["siblings"]) {
    if (!entry.is_object()) fail("\"siblings\": expected objects");
    HubFile file;
    file.path = text_of(entry, "rfilename");
    if (!is_safe_path(file.path)) continue;
    const auto lfs = entry.find("lfs");
    const bool large = lfs != entry.end() && lfs->is_object();
    const Json& sized = large && lfs->contains("size") ? *lfs : entry;
    if (const auto size = sized.find("size"); size != sized.end() && size->is_number_unsigned()) {
      file.size = size->get<int64_t>();
    }
    if (large) file.sha256 = text_of(*lfs, "sha256");
    if (!large) file.blob = text_of(entry, "blobId");
    listing.files.push_back(std::move(file));
  }
  return listing;
}

NeededFiles choose_files(const Names& names, const std::string& variant, const std::string& label) {
  NeededFiles needed;
  needed.adapter = contains(names, "adapter_config.json") && !contains(names, "config.json");
  std::copy_if(names.begin(), names.end(), std::back_inserter(needed.companions), is_companion);
  if (needed.adapter) {
    for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
      if (!contains(names, name)) continue;
      needed.weights = {name};
      break;
    }
  } else if (variant.empty()) {
    take_weights(names, label, needed);
  } else {
    take_variant(names, variant, label, needed);
  }
  return needed;
}

Names shards_of_index(const fs::path& index) {
  const Json json = read_json_file(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"weight_map\": expected an object",
                index.string());
  }
  std::set<std::string> shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_safe_path(file.get_ref<const std::string&>())) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: \"weight_map\".\"{}\": expected a file name",
                  index.string(), tensor);
    }
    shards.insert(file.get<std::string>());
  }
  return {shards.begin(), shards.end()};
}

Names names_in_folder(const fs::path& folder) {
  Names names;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error), end;
  for (; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it.depth() > 4) it.disable_recursion_pending();
    if (it->is_regular_file(ignored)) {
      names.push_back(it->path().lexically_relative(folder).generic_string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string missing_of_folder(const fs::path& folder, ModelParts parts,
                              const std::string& variant) {
  const Names names = names_in_folder(folder);
  if (!contains(names, "config.json") && !contains(names, "adapter_config.json")) {
    return "config.json";
  }
  if (parts == ModelParts::kWithoutWeights) return {};
  try {
    const NeededFiles needed = choose_files(names, variant, folder.string());
    if (needed.index.empty()) return needed.weights.empty() ? "weights" : "";
    for (const std::string& shard : shards_of_index(folder / needed.index)) {
      if (!contains(names, shard)) return shard;
    }
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace tensormill
