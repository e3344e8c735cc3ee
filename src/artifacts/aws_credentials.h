#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "artifacts/aws_profile.h"
#include "artifacts/environment.h"
#include "artifacts/sigv4.h"

namespace tensormill {

struct AwsCredentials {
  AwsKeys keys;
  std::string source;  // "AWS_ACCESS_KEY_ID", "profile x", "the instance's role x"
  std::chrono::system_clock::time_point expires = std::chrono::system_clock::time_point::max();
};

// Finds credentials where AWS's own tools do, in their order: AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, a web identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN), the profile's
// keys or its role (role_arn with source_profile or a web identity), the container's
// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, _FULL_URI), the instance's (metadata service, version
// 2). Those that expire are fetched anew in time. Thread-safe.
class AwsCredentialChain {
 public:
  explicit AwsCredentialChain(EnvironmentLookup environment);

  // None: nothing was found, tried() says where. Errors: kConfigInvalid for credentials that are
  // there and can't be used, naming them.
  std::optional<AwsCredentials> get();
  std::string tried() const;

  const AwsProfiles& profiles() const { return profiles_; }
  // AWS_REGION, AWS_DEFAULT_REGION, the profile's region, else "".
  std::string region() const;
  // AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's endpoint_url, else "".
  std::string endpoint(const char* service) const;

 private:
  std::optional<AwsCredentials> find();
  std::optional<AwsCredentials> from_environment() const;
  std::optional<AwsCredentials> from_web_identity(const std::string& token_file,
                                                  const std::string& role,
                                                  const std::string& session) const;
  std::optional<AwsCredentials> from_profile(const std::string& profile, int depth) const;
  std::optional<AwsCredentials> from_container() const;
  std::optional<AwsCredentials> from_instance() const;
  AwsCredentials ask_sts(const std::string& query, const AwsKeys* keys,
                         const std::string& source) const;

  EnvironmentLookup environment_;
  AwsProfiles profiles_;
  std::mutex mutex_;
  bool looked_ = false;
  std::optional<AwsCredentials> found_;
};

// "2026-11-23T12:00:00Z"; none where it isn't such a moment.
std::optional<std::chrono::system_clock::time_point> parse_moment(const std::string& text);

}  // namespace tensormill
