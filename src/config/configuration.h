#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"

namespace tensormill {

enum class ServingMode : uint8_t { kRolling, kDynamic };  // lmi-contract section 0

// One model as it is to be loaded: everything resolved.
struct ModelConfig {
  std::string name, version;        // version "" where none was given
  std::string url;                  // as shown by GET /models, "file:/opt/ml/model/test/"
  std::filesystem::path directory;  // with serving.properties, if any
  std::filesystem::path
      model_folder;  // with config.json and weights: option.model_id or the directory
  // What has to be fetched or unpacked to become the model folder, which is empty then: org/name of
  // the hub, an s3:// or http(s):// url, the path of an archive. "": nothing has to.
  std::string source;
  bool loaded_at_startup = true;
  Settings settings{SettingScope::kModel};
  ServingMode mode() const;  // from engine, option.rolling_batch, batch_size
};

struct Address {
  enum class Kind : uint8_t { kHttp, kHttps, kUnix } kind = Kind::kHttp;
  std::string host;  // or the path of a unix socket
  uint16_t port = 0;
};

// Makes a folder of the archive or url of a model item. Errors: Error.
using ModelFetcher = std::function<std::filesystem::path(const std::string& source)>;

struct ServerConfig {
  Settings settings{SettingScope::kServer};
  Address inference, management;
  std::vector<ModelConfig> models;  // startup models
  // -o and our own flags: they win for models that are loaded later too (see resolve_model).
  std::vector<std::pair<std::string, std::string>> overrides;
  ModelFetcher fetch;  // as given to resolve_server; may be empty
};

// What the command line of `serve` said, unparsed.
struct ServeArguments {
  std::string config_file;              // -f
  std::vector<std::string> models;      // -m items
  std::string model_store;              // -s
  std::vector<std::string> positional;  // MODEL or name=MODEL
  std::vector<std::pair<std::string, std::string>>
      server_flags;  // our own: {"--port", "8080"}: key by table
  std::vector<std::pair<std::string, std::string>>
      options;  // -o key=value, --dtype, ...: model settings
};

using Environment = std::map<std::string, std::string>;
Environment process_environment();

// Reads every source in the contract's precedence (lmi-contract 1.1 to 1.9). Without `fetch`,
// items that aren't folders are refused. Errors: kConfigInvalid; those of `fetch`.
ServerConfig resolve_server(const ServeArguments& arguments, const Environment& environment,
                            const ModelFetcher& fetch = {});

// One model from a load request (POST /models) or an item of load_models; request: its own
// parameters, which win over serving.properties.
ModelConfig resolve_model(const std::string& item, const Settings& server,
                          const Environment& environment,
                          const std::vector<std::pair<std::string, std::string>>& request,
                          const std::vector<std::pair<std::string, std::string>>& overrides,
                          const ModelFetcher& fetch = {});
// Whether such an item is fetched first, which takes its time.
bool is_fetched_item(const std::string& item);
// The name that the model of an item gets when nobody else names it.
std::string model_name_of_item(const std::string& item);

// The table that --print-config shows: key, effective value, source; secrets as ***.
std::string print_config(const ServerConfig& config);

}  // namespace tensormill
