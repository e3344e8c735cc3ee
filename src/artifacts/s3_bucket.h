#pragma once

#include <string>
#include <vector>

#include "artifacts/aws_credentials.h"
#include "artifacts/s3.h"

namespace tensormill {

// One bucket, asked with signed requests.
class S3Bucket {
 public:
  S3Bucket(std::string name, const EnvironmentLookup& environment, const TransferLimits& limits);

  // All objects whose keys begin so. Errors: those of refuse().
  std::vector<S3Object> list(const std::string& prefix);

  WebRequest get(const std::string& key) const;  // not signed yet
  void sign(WebRequest& request);                // thread-safe
  [[noreturn]] void refuse(const WebReply& reply, const std::string& what);

  const std::string& endpoint() const { return endpoint_; }

 private:
  std::string url() const;
  bool moved(const WebReply& reply);

  std::string name_, region_, endpoint_, ca_file_;
  const TransferLimits& limits_;
  AwsCredentialChain credentials_;
};

}  // namespace tensormill
