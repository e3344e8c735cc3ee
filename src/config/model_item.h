#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tensormill {

// An item of load_models, -m or a load request: [name[:version[:engine[:devices]]]=]url. What the
// item leaves out is "".
struct ModelItem {
  std::string name, version, engine, devices, url;
};

// Errors: kConfigInvalid for more than four fields, an unclosed bracket or no url.
ModelItem parse_model_item(std::string_view item);

// Where an item's url points to on this machine.
struct ModelPlace {
  std::filesystem::path directory;  // absolute; the inner folder where one folder is all there is
  std::string url;                  // "file:/m/test/", as GET /models shows it
  std::vector<std::pair<std::string, std::string>> arguments;  // of the url's query
};

// A path or file: url, relative to `base` or else to `store` (may be empty). `fetch` makes folders
// of archives and of s3:// and http(s):// urls; without it they are refused. Errors: kNotFound
// "Invalid model url: X"; kUnsupported for workflows and other urls; those of `fetch`.
ModelPlace find_model(const std::string& url, const std::filesystem::path& base,
                      const std::filesystem::path& store,
                      const std::function<std::filesystem::path(const std::string&)>& fetch);

// What option.model_id names: a folder, or what becomes one when it is fetched.
struct ModelFiles {
  std::filesystem::path folder;  // empty with a source
  std::string source;            // org/name, s3://, http(s)://, or the absolute path of an archive
};

// Paths are relative to one of `bases`. Errors, naming `label`: kNotFound for what is no folder
// here and can't be an id of the hub; kConfigInvalid for a file; kUnsupported for other urls.
ModelFiles find_model_files(const std::string& model_id,
                            const std::vector<std::filesystem::path>& bases,
                            std::string_view label);

// The last segment of the path, every character but letters, digits and '_' replaced by '_'.
std::string model_name_of_url(std::string_view url);
// The same replacement for all of the text.
std::string model_name_of_text(std::string_view text);

// The models of a model store, by name: its folders and archives, or the store itself. Those at or
// below `skipped` are left out.
std::vector<std::filesystem::path> scan_model_store(const std::filesystem::path& store,
                                                    const std::filesystem::path& skipped);

}  // namespace tensormill
