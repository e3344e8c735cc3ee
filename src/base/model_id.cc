#include "base/model_id.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace tensormill {
namespace {

// No suffix ends in one that stands behind it.
constexpr std::array<std::string_view, 6> kArchives = {".tar.gz", ".tar.z", ".tar",
                                                       ".tgz",    ".zip",   ".mar"};
constexpr size_t kLongestId = 96;

bool is_id_part(std::string_view part) {
  if (part.empty() || part.front() == '-' || part.front() == '.' || part.back() == '-' ||
      part.back() == '.') {
    return false;
  }
  return std::all_of(part.begin(), part.end(), [](unsigned char c) {
    return (c < 128 && std::isalnum(c)) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

bool is_hub_id(std::string_view text) {
  if (text.size() > kLongestId || text.find("--") != std::string_view::npos ||
      text.find("..") != std::string_view::npos || text.ends_with(".git")) {
    return false;
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_id_part(text);
  return is_id_part(text.substr(0, slash)) && is_id_part(text.substr(slash + 1));
}

std::string_view without_archive_suffix(std::string_view path) {
  for (const std::string_view suffix : kArchives) {
    if (path.size() <= suffix.size()) continue;
    const std::string_view end = path.substr(path.size() - suffix.size());
    const bool same = std::equal(end.begin(), end.end(), suffix.begin(), [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == b;
    });
    if (same) return path.substr(0, path.size() - suffix.size());
  }
  return path;
}

bool has_archive_suffix(std::string_view path) {
  return without_archive_suffix(path).size() < path.size();
}

bool is_download_url(std::string_view text) {
  return text.starts_with("s3://") || text.starts_with("http://") || text.starts_with("https://");
}

}  // namespace tensormill
