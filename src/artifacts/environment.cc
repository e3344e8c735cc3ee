#include "artifacts/environment.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace fs = std::filesystem;

namespace tensormill {

std::string process_variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_true_text(const std::string& value) {
  std::string upper = value;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper == "1" || upper == "ON" || upper == "YES" || upper == "TRUE";
}

fs::path home_of_user(const EnvironmentLookup& environment) {
  if (const std::string home = environment("HOME"); !home.empty()) return home;
  const passwd* user = ::getpwuid(::getuid());
  if (user && user->pw_dir && *user->pw_dir) return user->pw_dir;
  return fs::current_path();
}

fs::path expand_path(const std::string& text, const EnvironmentLookup& environment) {
  std::string path = text;
  if (path == "~" || path.starts_with("~/")) {
    path = home_of_user(environment).string() + path.substr(1);
  }
  std::string result;
  for (size_t at = 0; at < path.size();) {
    if (path[at] != '$') {
      result += path[at++];
      continue;
    }
    const bool braces = path.compare(at, 2, "${") == 0;
    const size_t begin = at + (braces ? 2 : 1);
    size_t end = begin;
    while (end < path.size() &&
           (std::isalnum(static_cast<unsigned char>(path[end])) || path[end] == '_')) {
      ++end;
    }
    const std::string value = environment(path.substr(begin, end - begin).c_str());
    const bool closed = !braces || (end < path.size() && path[end] == '}');
    if (end == begin || !closed || value.empty()) {
      result += path[at++];  // as it is: no such variable
      continue;
    }
    result += value;
    at = end + (braces ? 1 : 0);
  }
  return result;
}

fs::path download_folder(const EnvironmentLookup& environment) {
  for (const char* name : {"SERVING_DOWNLOAD_DIR", "DJL_CACHE_DIR"}) {
    if (const std::string folder = environment(name); !folder.empty()) {
      return fs::absolute(expand_path(folder, environment));
    }
  }
  const std::string cache = environment("XDG_CACHE_HOME");
  const fs::path base =
      cache.empty() ? home_of_user(environment) / ".cache" : expand_path(cache, environment);
  return fs::absolute(base / "tensormill");
}

}  // namespace tensormill
