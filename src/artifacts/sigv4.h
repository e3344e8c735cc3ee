#pragma once

#include <chrono>
#include <string>

#include "artifacts/web_client.h"

namespace tensormill {

struct AwsKeys {
  std::string access_key, secret_key;
  std::string session_token;  // "": keys that last
};

// Signs a request as AWS's Signature Version 4 asks: adds x-amz-date, x-amz-security-token,
// authorization and, for the service s3, x-amz-content-sha256, to the request's secrets. The url's
// path and query must be percent-encoded. What `headers` holds is signed too; a Range isn't.
void sign_v4(WebRequest& request, const AwsKeys& keys, const std::string& region,
             const std::string& service, std::chrono::system_clock::time_point now);

}  // namespace tensormill
