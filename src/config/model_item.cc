#include "config/model_item.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/log_once.h"
#include "base/model_id.h"
#include "config/paths.h"
#include "config/text.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr std::array kRefused = {"djl://", "jar:", "hdfs://"};
constexpr std::array kWorkflowFiles = {"workflow.json", "workflow.yml", "workflow.yaml"};

bool is_refused(std::string_view url) {
  return std::any_of(kRefused.begin(), kRefused.end(),
                     [&](const char* scheme) { return url.starts_with(scheme); });
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

// The entries of a folder that aren't hidden, by name. An unreadable folder has none.
std::vector<fs::path> visible_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator it(folder, error), end;
  while (!error && it != end) {
    if (!is_hidden(it->path())) entries.push_back(it->path());
    it.increment(error);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

fs::path inner_folder(const fs::path& folder) {
  const std::vector<fs::path> entries = visible_entries(folder);
  return entries.size() == 1 && is_folder(entries[0]) ? entries[0] : folder;
}

// "file:///m/x%20y" -> "/m/x y"; anything else is a path already.
std::string local_path(std::string_view url) {
  if (!url.starts_with("file:")) return std::string(url);
  std::string path = percent_decode(url.substr(5));
  const size_t slashes = std::min(path.find_first_not_of('/'), path.size());
  if (slashes > 1) path.erase(0, slashes - 1);
  return path;
}

std::vector<std::pair<std::string, std::string>> query_arguments(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> arguments;
  for (const std::string_view piece : split(query, "&")) {
    const size_t equals = piece.find('=');
    if (equals == 0 || equals == std::string_view::npos) continue;
    arguments.emplace_back(percent_decode(piece.substr(0, equals)),
                           percent_decode(piece.substr(equals + 1)));
  }
  return arguments;
}

[[noreturn]] void refuse_url(const std::string& url, std::string_view reason) {
  throw_error(ErrorKind::kUnsupported,
              "Invalid model url: {}: is not supported: {}; expected a folder, an archive or an "
              "s3:// url",
              printable(url), reason);
}

constexpr std::string_view kNoWorkflows = "workflows aren't built";

// Files that the original loads and this program doesn't.
void refuse_file(const std::string& url, const std::string& path) {
  for (const char* suffix : {".yml", ".yaml", ".json"}) {
    if (path.ends_with(suffix)) refuse_url(url, kNoWorkflows);
  }
}

bool is_path(std::string_view text) {
  return text.find('\0') == std::string_view::npos;
}

ModelPlace fetched_place(const std::string& url, const std::string& source,
                         const std::function<fs::path(const std::string&)>& fetch,
                         ModelPlace place) {
  if (!fetch) refuse_url(url, "nothing is downloaded or unpacked here");
  place.directory = inner_folder(fetch(source));
  place.url = url;
  return place;
}

}  // namespace

ModelItem parse_model_item(std::string_view text) {
  text = trim(text);
  ModelItem item;
  const size_t equals = text.substr(0, text.find('?')).find('=');
  if (equals == std::string_view::npos) {
    item.url = text;
  } else {
    std::string_view endpoint = trim(text.substr(0, equals));
    item.url = trim(text.substr(equals + 1));
    if (endpoint.starts_with('[') != endpoint.ends_with(']')) {
      throw_error(ErrorKind::kConfigInvalid, "{}: a bracket isn't closed", printable(text));
    }
    if (endpoint.starts_with('[')) endpoint = endpoint.substr(1, endpoint.size() - 2);
    std::array<std::string*, 4> fields = {&item.name, &item.version, &item.engine, &item.devices};
    for (size_t i = 0;; ++i) {
      if (i == fields.size()) {
        throw_error(ErrorKind::kConfigInvalid,
                    "{}: expected name:version:engine:devices=url, found more fields",
                    printable(text));
      }
      const size_t colon = endpoint.find(':');
      *fields[i] = trim(endpoint.substr(0, colon));
      if (colon == std::string_view::npos) break;
      endpoint.remove_prefix(colon + 1);
    }
  }
  if (item.url.empty()) {
    throw_error(ErrorKind::kConfigInvalid, "\"{}\": expected [name=]url, found no url",
                printable(text));
  }
  return item;
}

ModelPlace find_model(const std::string& url, const fs::path& base, const fs::path& store,
                      const std::function<fs::path(const std::string&)>& fetch) {
  ModelPlace place;
  std::string location = url;
  const size_t question = url.find('?');
  if (question != std::string::npos) {
    place.arguments = query_arguments(std::string_view(url).substr(question + 1));
    location.resize(question);
  }
  if (is_download_url(location)) return fetched_place(url, location, fetch, std::move(place));
  if (is_refused(location)) refuse_url(url, "such urls aren't read");
  const std::string text = local_path(location);
  fs::path path = (base / text).lexically_normal();
  if (!path_exists(path) && !store.empty() && fs::path(text).is_relative()) {
    path = (store / text).lexically_normal();
  }
  if (is_path(text) && !is_folder(path) && path_exists(path) && has_archive_suffix(text)) {
    return fetched_place("file:" + path.string(), path.string(), fetch, std::move(place));
  }
  if (!is_path(text) || !is_folder(path)) {
    refuse_file(url, text);
    const bool file = is_path(text) && path_exists(path);
    throw_error(ErrorKind::kNotFound, "Invalid model url: {}: {}", printable(url),
                file                  ? "is a file, expected a folder or an archive"
                : is_hub_id(location) ? "no such folder; a model of the hub is given as "
                                        "option.model_id, HF_MODEL_ID or MODEL of the command line"
                                      : "no such folder");
  }
  place.url = "file:" + path.string();
  place.directory = inner_folder(path.has_filename() ? path : path.parent_path());
  for (const char* name : kWorkflowFiles) {
    if (path_exists(place.directory / name)) refuse_url(url, kNoWorkflows);
  }
  return place;
}

ModelFiles find_model_files(const std::string& model_id, const std::vector<fs::path>& bases,
                            std::string_view label) {
  if (is_download_url(model_id)) return {{}, model_id};
  if (is_refused(model_id)) {
    throw_error(ErrorKind::kUnsupported,
                "{} is not supported; expected a folder, an archive, org/name of the hub or "
                "s3://bucket/prefix",
                label);
  }
  const std::string path = local_path(model_id);
  for (const fs::path& base : is_path(path) ? bases : std::vector<fs::path>()) {
    const fs::path folder = (base / path).lexically_normal();
    if (is_folder(folder)) return {folder.has_filename() ? folder : folder.parent_path(), ""};
    if (!path_exists(folder)) continue;
    if (has_archive_suffix(path)) return {{}, folder.string()};
    throw_error(ErrorKind::kConfigInvalid, "{}: is a file, expected a folder or an archive", label);
  }
  if (is_hub_id(model_id)) return {{}, model_id};
  throw_error(ErrorKind::kNotFound, "{}: no such folder, and no id of the hub", label);
}

std::string model_name_of_text(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word) c = '_';
  }
  return name;
}

std::string model_name_of_url(std::string_view url) {
  url = url.substr(0, url.find('?'));
  std::string path = local_path(url);
  const bool slash = path.ends_with('/');
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::string name = path.substr(path.rfind('/') + 1);
  if (!slash) name = without_archive_suffix(name);
  return model_name_of_text(name);
}

std::vector<fs::path> scan_model_store(const fs::path& store, const fs::path& skipped) {
  const auto is_skipped = [&](const fs::path& path) {
    if (skipped.empty()) return false;
    const auto relative = path.lexically_normal().lexically_relative(skipped.lexically_normal());
    return !relative.empty() && *relative.begin() != "..";
  };
  const std::vector<fs::path> entries = visible_entries(store);
  const bool many = std::all_of(entries.begin(), entries.end(), [](const fs::path& entry) {
    return is_folder(entry) || has_archive_suffix(entry.string());
  });
  std::vector<fs::path> models;
  if (!many) {
    if (!is_skipped(store)) models.push_back(store);
    return models;
  }
  for (const fs::path& entry : entries) {
    if (is_skipped(entry)) continue;
    if (!is_folder(entry)) {
      models.push_back(entry);
      continue;
    }
    if (visible_entries(entry).empty()) {
      warn_once(entry.string() + ": empty or unreadable, skipped");
      continue;
    }
    models.push_back(inner_folder(entry));
  }
  return models;
}

}  // namespace tensormill
