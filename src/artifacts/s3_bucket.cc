#include "artifacts/s3_bucket.h"

#include <spdlog/spdlog.h>

#include "artifacts/hub.h"
#include "artifacts/xml.h"
#include "base/error.h"

namespace tensormill {
namespace {

// Code and message of an error's XML; what isn't XML says nothing.
XmlElement error_of(const WebReply& reply) {
  try {
    return parse_xml(reply.body, reply.url);
  } catch (const Error&) {
    return {};
  }
}

bool has_keys_problem(const std::string& code) {
  return code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" ||
         code == "ExpiredToken" || code == "InvalidToken" || code == "TokenRefreshRequired" ||
         code == "RequestTimeTooSkewed";
}

}  // namespace

S3Bucket::S3Bucket(std::string name, const EnvironmentLookup& environment,
                   const TransferLimits& limits)
    : name_(std::move(name)), limits_(limits), credentials_(environment) {
  region_ = credentials_.region();
  if (region_.empty()) region_ = "us-east-1";
  endpoint_ = credentials_.endpoint("S3");
  ca_file_ = environment("AWS_CA_BUNDLE");
  if (ca_file_.empty()) ca_file_ = ca_file_of(environment);
}

// Names with dots don't match the certificate of the bucket's own host.
std::string S3Bucket::url() const {
  if (!endpoint_.empty()) return endpoint_ + "/" + name_;
  const std::string host =
      fmt::format("s3.{}.amazonaws.com{}", region_, region_.starts_with("cn-") ? ".cn" : "");
  if (name_.find('.') != std::string::npos) return fmt::format("https://{}/{}", host, name_);
  return fmt::format("https://{}.{}", name_, host);
}

WebRequest S3Bucket::get(const std::string& key) const {
  WebRequest request;
  request.url = url() + "/" + percent_encode(key, true);
  request.ca_file = ca_file_;
  return request;
}

void S3Bucket::sign(WebRequest& request) {
  const std::optional<AwsCredentials> found = credentials_.get();
  if (!found) return;  // public buckets need none
  sign_v4(request, found->keys, region_, "s3", std::chrono::system_clock::now());
}

// The reply says that the bucket lives in another region.
bool S3Bucket::moved(const WebReply& reply) {
  std::string region = reply.header("x-amz-bucket-region");
  if (region.empty() && reply.status == 400) region = error_of(reply).text_of("Region");
  if (region.empty() || region == region_) return false;
  spdlog::info("bucket {} is in {}", name_, region);
  region_ = region;
  return true;
}

std::vector<S3Object> S3Bucket::list(const std::string& prefix) {
  std::vector<S3Object> objects;
  WebClient client;
  std::string token;
  int moves = 0;
  while (true) {
    const WebReply reply = send_patiently(client, limits_, [&] {
      WebRequest request;
      request.url = fmt::format("{}/?list-type=2&prefix={}", url(), percent_encode(prefix, false));
      if (!token.empty()) request.url += "&continuation-token=" + percent_encode(token, false);
      request.ca_file = ca_file_;
      request.stay = true;
      sign(request);
      return request;
    });
    if (reply.status != 200) {
      if (++moves <= 2 && moved(reply)) continue;
      refuse(reply, fmt::format("s3://{}/{}", name_, prefix));
    }
    S3Page page = parse_s3_page(reply.body, reply.url);
    objects.insert(objects.end(), std::make_move_iterator(page.objects.begin()),
                   std::make_move_iterator(page.objects.end()));
    if (page.next.empty()) return objects;
    if (page.next == token) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: the same page of the list twice", reply.url);
    }
    token = page.next;
  }
}

void S3Bucket::refuse(const WebReply& reply, const std::string& what) {
  const XmlElement error = error_of(reply);
  const std::string code = error.text_of("Code"), message = error.text_of("Message");
  const std::string said =
      code.empty() ? fmt::format("status {}", reply.status) : code + ": " + message;
  const std::optional<AwsCredentials> keys = credentials_.get();
  if (code == "NoSuchBucket") {
    throw_error(ErrorKind::kNotFound, "{}: no such bucket at {}", what, host_of(reply.url));
  }
  if (reply.status == 404) throw_error(ErrorKind::kNotFound, "{}: {}", what, said);
  if (reply.status == 412) {
    throw_error(ErrorKind::kConflict, "{}: the object changed while it was downloaded; try again",
                what);
  }
  if (!keys && (reply.status == 403 || reply.status == 401)) {
    throw_error(ErrorKind::kConfigInvalid, "{}: {}; no credentials were found: looked at {}", what,
                said, credentials_.tried());
  }
  if (reply.status == 403 || reply.status == 401 || has_keys_problem(code)) {
    throw_error(ErrorKind::kConfigInvalid,
                "{}: {} (credentials: {}; region {}): expected permission for s3:ListBucket and "
                "s3:GetObject",
                what, said, keys ? keys->source : "none", region_);
  }
  throw_error(
      reply.status == 503 || reply.status == 429 ? ErrorKind::kOverloaded : ErrorKind::kInternal,
      "{}: {} from {}", what, said, host_of(reply.url));
}

}  // namespace tensormill
