#include "artifacts/aws_credentials.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>

#include "artifacts/hub.h"
#include "artifacts/transfer.h"
#include "artifacts/xml.h"
#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr auto kRenewBefore = std::chrono::minutes(5);
constexpr const char *kContainerHost = "http://169.254.170.2",
                     *kInstanceHost = "http://169.254.169.254";
constexpr int kMaxRoles = 5;  // that a role may be assumed through

std::string read_trimmed(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw_error(ErrorKind::kConfigInvalid, "{}: could not be read", file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

// The reply of the container's and the instance's metadata service.
AwsCredentials parse_metadata(const WebReply& reply, const std::string& source) {
  const Json json = parse_json(reply.body, source);
  const auto text = [&](const char* key) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  AwsCredentials credentials;
  credentials.keys = {text("AccessKeyId"), text("SecretAccessKey"), text("Token")};
  credentials.source = source;
  if (const auto moment = parse_moment(text("Expiration"))) credentials.expires = *moment;
  if (credentials.keys.access_key.empty() || credentials.keys.secret_key.empty()) {
    throw_error(ErrorKind::kConfigInvalid, "{}: expected AccessKeyId and SecretAccessKey", source);
  }
  return credentials;
}

bool may_ask_over_http(const std::string& host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.") ||
         host == "169.254.170.2" || host == "169.254.170.23" || host == "[fd00:ec2::23]" ||
         host == "fd00:ec2::23";
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> parse_moment(const std::string& text) {
  std::tm time{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (!end) return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&time));
}

AwsCredentialChain::AwsCredentialChain(EnvironmentLookup environment)
    : environment_(std::move(environment)), profiles_(environment_) {}

std::string AwsCredentialChain::region() const {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string value = environment_(name); !value.empty()) return value;
  }
  return profiles_.value("region");
}

std::string AwsCredentialChain::endpoint(const char* service) const {
  if (is_true_text(environment_("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))) return {};
  std::string url = environment_((std::string("AWS_ENDPOINT_URL_") + service).c_str());
  if (url.empty()) url = environment_("AWS_ENDPOINT_URL");
  if (url.empty()) url = profiles_.value("endpoint_url");
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string AwsCredentialChain::tried() const {
  return fmt::format(
      "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE, profile {} in {}, "
      "AWS_CONTAINER_CREDENTIALS_*_URI, the instance's metadata",
      profiles_.chosen(), profiles_.files());
}

std::optional<AwsCredentials> AwsCredentialChain::get() {
  const std::lock_guard lock(mutex_);
  const bool old = found_ && found_->expires != std::chrono::system_clock::time_point::max() &&
                   found_->expires < std::chrono::system_clock::now() + kRenewBefore;
  if (!looked_ || old) {
    found_ = find();
    looked_ = true;
    if (found_) spdlog::debug("AWS credentials from {}", found_->source);
  }
  return found_;
}

std::optional<AwsCredentials> AwsCredentialChain::find() {
  if (auto found = from_environment()) return found;
  const std::string token_file = environment_("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (!token_file.empty()) {
    const std::string role = environment_("AWS_ROLE_ARN");
    if (role.empty()) {
      throw_error(ErrorKind::kConfigInvalid,
                  "AWS_WEB_IDENTITY_TOKEN_FILE is set: expected AWS_ROLE_ARN too");
    }
    return from_web_identity(token_file, role, environment_("AWS_ROLE_SESSION_NAME"));
  }
  const bool named = !environment_("AWS_PROFILE").empty();
  if (named && !profiles_.has(profiles_.chosen())) {
    throw_error(ErrorKind::kConfigInvalid, "AWS_PROFILE={}: no such profile in {}",
                profiles_.chosen(), profiles_.files());
  }
  if (auto found = from_profile(profiles_.chosen(), 0)) return found;
  if (auto found = from_container()) return found;
  return from_instance();
}

std::optional<AwsCredentials> AwsCredentialChain::from_environment() const {
  AwsCredentials credentials;
  credentials.keys = {environment_("AWS_ACCESS_KEY_ID"), environment_("AWS_SECRET_ACCESS_KEY"),
                      environment_("AWS_SESSION_TOKEN")};
  if (credentials.keys.access_key.empty()) return std::nullopt;
  if (credentials.keys.secret_key.empty()) {
    throw_error(ErrorKind::kConfigInvalid,
                "AWS_ACCESS_KEY_ID is set: expected AWS_SECRET_ACCESS_KEY too");
  }
  credentials.source = "AWS_ACCESS_KEY_ID";
  return credentials;
}

// `keys` null: the request carries what proves who asks.
AwsCredentials AwsCredentialChain::ask_sts(const std::string& query, const AwsKeys* keys,
                                           const std::string& source) const {
  std::string where = region();
  if (where.empty()) where = "us-east-1";
  std::string url = endpoint("STS");
  if (url.empty()) {
    url =
        fmt::format("https://sts.{}.amazonaws.com{}", where, where.starts_with("cn-") ? ".cn" : "");
  }
  WebClient client;
  const WebReply reply = send_patiently(client, TransferLimits{.tries = 3}, [&] {
    WebRequest request;
    request.method = "POST";
    request.url = url + "/";
    request.body = query + "&Version=2011-06-15";
    request.stay = true;  // the body holds a token
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.ca_file = ca_file_of(environment_);
    if (keys) sign_v4(request, *keys, where, "sts", std::chrono::system_clock::now());
    return request;
  });
  const XmlElement xml = parse_xml(reply.body, url);
  const XmlElement* part = xml.find("Credentials");
  if (reply.status != 200 || !part) {
    const XmlElement* error = xml.find("Error");
    throw_error(ErrorKind::kConfigInvalid, "{}: {} refuses: {}", source, host_of(url),
                error ? error->text_of("Code") + ": " + error->text_of("Message")
                      : fmt::format("status {}", reply.status));
  }
  AwsCredentials credentials;
  credentials.keys = {part->text_of("AccessKeyId"), part->text_of("SecretAccessKey"),
                      part->text_of("SessionToken")};
  credentials.source = source;
  if (const auto moment = parse_moment(part->text_of("Expiration"))) credentials.expires = *moment;
  return credentials;
}

std::optional<AwsCredentials> AwsCredentialChain::from_web_identity(
    const std::string& token_file, const std::string& role, const std::string& session) const {
  const std::string query = fmt::format(
      "Action=AssumeRoleWithWebIdentity&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
      percent_encode(role, false),
      percent_encode(session.empty() ? fmt::format("tensormill-{}", ::getpid()) : session, false),
      percent_encode(read_trimmed(expand_path(token_file, environment_).string()), false));
  return ask_sts(query, nullptr, fmt::format("role {} of {}", role, token_file));
}

std::optional<AwsCredentials> AwsCredentialChain::from_profile(const std::string& profile,
                                                               int depth) const {
  const auto value = [&](const char* key) { return profiles_.value(profile, key); };
  AwsCredentials credentials;
  credentials.keys = {value("aws_access_key_id"), value("aws_secret_access_key"),
                      value("aws_session_token")};
  credentials.source = "profile " + profile;
  const bool keys = !credentials.keys.access_key.empty() && !credentials.keys.secret_key.empty();
  const std::string role = value("role_arn");
  // A profile may be the source of its own role: then its keys are meant.
  if (keys && (role.empty() || depth > 0)) return credentials;
  if (role.empty()) {
    for (const char* key : {"credential_process", "sso_session", "sso_start_url"}) {
      if (value(key).empty()) continue;
      throw_error(ErrorKind::kUnsupported,
                  "profile {}: {} is not supported; put keys into the environment instead, for "
                  "example by: eval \"$(aws configure export-credentials --format env)\"",
                  profile, key);
    }
    return std::nullopt;
  }
  const std::string session = value("role_session_name");
  if (const std::string file = value("web_identity_token_file"); !file.empty()) {
    return from_web_identity(file, role, session);
  }
  const std::string source = value("source_profile");
  std::optional<AwsCredentials> from;
  if (depth < kMaxRoles && !source.empty()) {
    from = from_profile(source, depth + 1);
  } else if (value("credential_source") == "Environment") {
    from = from_environment();
  } else if (value("credential_source") == "EcsContainer") {
    from = from_container();
  } else if (value("credential_source") == "Ec2InstanceMetadata") {
    from = from_instance();
  }
  if (!from) {
    throw_error(ErrorKind::kConfigInvalid,
                "profile {}: role_arn without keys to assume it with: expected source_profile, "
                "credential_source or web_identity_token_file",
                profile);
  }
  std::string query = fmt::format(
      "Action=AssumeRole&RoleArn={}&RoleSessionName={}", percent_encode(role, false),
      percent_encode(session.empty() ? fmt::format("tensormill-{}", ::getpid()) : session, false));
  if (const std::string id = value("external_id"); !id.empty()) {
    query += "&ExternalId=" + percent_encode(id, false);
  }
  return ask_sts(query, &from->keys, fmt::format("role {} of profile {}", role, profile));
}

std::optional<AwsCredentials> AwsCredentialChain::from_container() const {
  const std::string relative = environment_("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  std::string url = environment_("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative.empty()) url = kContainerHost + relative;
  if (url.empty()) return std::nullopt;
  if (!url.starts_with("https://") && !may_ask_over_http(host_of(url))) {
    throw_error(ErrorKind::kConfigInvalid,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI={}: expected https, or an address of this "
                "machine or its container service",
                url);
  }
  std::string token = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !file.empty()) {
    token = read_trimmed(file);
  }
  WebClient client;
  const WebReply reply = send_patiently(client, TransferLimits{.tries = 3}, [&] {
    WebRequest request;
    request.url = url;
    request.direct = true;
    request.connect_seconds = 2;
    request.total_seconds = 10;
    if (!token.empty()) request.secrets = {{"Authorization", token}};
    return request;
  });
  if (reply.status != 200) {
    throw_error(ErrorKind::kConfigInvalid, "the container's credentials at {}: status {}", url,
                reply.status);
  }
  return parse_metadata(reply, "the container's credentials at " + url);
}

std::optional<AwsCredentials> AwsCredentialChain::from_instance() const {
  if (is_true_text(environment_("AWS_EC2_METADATA_DISABLED"))) return std::nullopt;
  std::string host = environment_("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (host.empty()) host = kInstanceHost;
  while (host.ends_with('/')) host.pop_back();
  WebRequest request;
  request.direct = true;
  request.connect_seconds = 1;
  request.total_seconds = 3;
  WebClient client;
  try {
    request.method = "PUT";
    request.url = host + "/latest/api/token";
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    const WebReply token = client.send(request);
    if (token.status != 200) return std::nullopt;
    request.method = "GET";
    request.headers.clear();
    request.secrets = {{"X-aws-ec2-metadata-token", token.body}};
    request.url = host + "/latest/meta-data/iam/security-credentials/";
    const WebReply roles = client.send(request);
    if (roles.status != 200) return std::nullopt;
    const std::string role = roles.body.substr(0, roles.body.find_first_of("\r\n"));
    request.url += percent_encode(role, false);
    const WebReply reply = client.send(request);
    if (reply.status != 200) return std::nullopt;
    return parse_metadata(reply, "the instance's role " + role);
  } catch (const TransportError&) {
    return std::nullopt;  // no instance
  }
}

}  // namespace tensormill
