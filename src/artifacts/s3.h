#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/environment.h"
#include "artifacts/hub_files.h"
#include "artifacts/transfer.h"

namespace tensormill {

struct S3Url {
  std::string bucket, key;  // key without a slash at its beginning; may be ""
};
// "s3://bucket/some/key". Errors: kBadRequest.
S3Url parse_s3_url(const std::string& url);

struct S3Object {
  std::string key, etag;  // without quotes
  int64_t size = 0;
};

// One reply of ListObjectsV2.
struct S3Page {
  std::vector<S3Object> objects;
  std::string next;  // continuation token; "": this was the last page
};
// Errors: kArtifactInvalid naming `origin`.
S3Page parse_s3_page(std::string_view xml, const std::string& origin);

struct S3Model {
  std::filesystem::path path;
  bool archive = false;  // the path is an archive's file, not a folder
};

// What lies under an s3:// url, in a folder of download_folder(); an object whose name ends as an
// archive's does comes alone. Only what changed since the last time is fetched. With
// kWithoutWeights, a model's weights stay where they are. Credentials, region and endpoint are
// found as AWS's tools find them. Errors: kNotFound for no such bucket or nothing under the prefix;
// kConfigInvalid for refused access, naming the credentials; those of fetch_files.
S3Model fetch_s3_model(const std::string& url, ModelParts parts,
                       const EnvironmentLookup& environment, const TransferLimits& limits);

}  // namespace tensormill
