#pragma once

#include <filesystem>
#include <string>

#include "artifacts/environment.h"
#include "artifacts/hub_files.h"
#include "artifacts/transfer.h"

namespace tensormill {

// Where models come from and go to, as huggingface_hub reads it from the environment: HF_ENDPOINT,
// HF_TOKEN (HF_TOKEN_PATH), HF_HUB_CACHE (HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME),
// HF_HUB_OFFLINE (TRANSFORMERS_OFFLINE, and DJL_OFFLINE).
struct HubSettings {
  std::string endpoint;  // without a slash at the end
  std::string token;     // "": none
  std::string token_source;
  std::filesystem::path cache;
  std::string offline;  // the variable that forbids a network; "": none
  std::string ca_file;
  long timeout_seconds = 30;
};
// Errors: kConfigInvalid for a token with blanks or control characters in it.
HubSettings hub_settings(const EnvironmentLookup& environment);

// Certificates to trust instead of the system's, a file or a folder, in the order of the Python
// packages: REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR.
std::string ca_file_of(const EnvironmentLookup& environment);

struct HubModel {
  std::string id, revision = "main";
  ModelParts parts = ModelParts::kAll;
  std::string variant;
};

// The folder with the files that serving the model needs, downloaded where they aren't in the
// cache. Of an adapter, its base is fetched too. Errors: kNotFound for no such model or revision
// and for what isn't in the cache when there is no network; kConfigInvalid for refused access,
// saying what to do; those of fetch_files.
std::filesystem::path fetch_hub_model(const HubModel& model, const HubSettings& hub,
                                      const TransferLimits& limits);

// The base model of the adapter in a folder of this machine, where the folder is of one and names a
// model of the hub that is no folder here.
void fetch_base_of_adapter(const std::filesystem::path& folder, ModelParts parts,
                           const HubSettings& hub, const TransferLimits& limits);

}  // namespace tensormill
