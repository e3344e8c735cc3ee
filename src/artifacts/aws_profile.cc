#include "artifacts/aws_profile.h"

#include <fstream>
#include <iterator>

namespace fs = std::filesystem;

namespace tensormill {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string read_text(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

AwsSections parse_aws_file(std::string_view text) {
  AwsSections sections;
  std::map<std::string, std::string>* section = nullptr;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (content.front() == '[') {
      std::string_view name = trim(content.substr(1, content.find(']') - 1));
      if (name.starts_with("profile ")) name = trim(name.substr(8));
      section = &sections[std::string(name)];
      continue;
    }
    const size_t equals = content.find('=');
    if (!section || equals == std::string_view::npos || line.front() == ' ' ||
        line.front() == '\t') {
      continue;
    }
    std::string_view value = trim(content.substr(equals + 1));
    for (const std::string_view comment : {" #", " ;"}) {
      value = trim(value.substr(0, value.find(comment)));
    }
    (*section)[std::string(trim(content.substr(0, equals)))] = value;
  }
  return sections;
}

AwsProfiles::AwsProfiles(const EnvironmentLookup& environment) {
  for (const char* name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
    if (chosen_.empty()) chosen_ = environment(name);
  }
  if (chosen_.empty()) chosen_ = "default";
  const auto file = [&](const char* variable, const char* name) -> fs::path {
    const std::string given = environment(variable);
    return given.empty() ? home_of_user(environment) / ".aws" / name
                         : expand_path(given, environment);
  };
  const fs::path credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                 config = file("AWS_CONFIG_FILE", "config");
  files_ = credentials.string() + " and " + config.string();
  sections_ = parse_aws_file(read_text(credentials));
  for (auto& [name, values] : parse_aws_file(read_text(config))) {
    sections_[name].insert(values.begin(), values.end());
  }
}

std::string AwsProfiles::value(const std::string& profile, const std::string& key) const {
  const auto section = sections_.find(profile);
  if (section == sections_.end()) return {};
  const auto found = section->second.find(key);
  return found == section->second.end() ? "" : found->second;
}

}  // namespace tensormill
