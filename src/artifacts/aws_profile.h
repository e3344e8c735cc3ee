#pragma once

#include <map>
#include <string>
#include <string_view>

#include "artifacts/environment.h"

namespace tensormill {

// Sections of an INI file as AWS's tools write it: {"default": {"region": "eu-west-1"}}. A section
// "profile x" is called "x". Lines that belong to a value above (indented) are left out.
using AwsSections = std::map<std::string, std::map<std::string, std::string>>;
AwsSections parse_aws_file(std::string_view text);

// One profile: what ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE) and ~/.aws/config
// (AWS_CONFIG_FILE) say of it, the first winning.
class AwsProfiles {
 public:
  explicit AwsProfiles(const EnvironmentLookup& environment);

  // AWS_PROFILE, AWS_DEFAULT_PROFILE, else "default".
  const std::string& chosen() const { return chosen_; }
  bool has(const std::string& profile) const { return sections_.count(profile) != 0; }
  // "" where it isn't set.
  std::string value(const std::string& profile, const std::string& key) const;
  std::string value(const std::string& key) const { return value(chosen_, key); }
  const std::string& files() const { return files_; }  // for messages

 private:
  std::string chosen_, files_;
  AwsSections sections_;
};

}  // namespace tensormill
