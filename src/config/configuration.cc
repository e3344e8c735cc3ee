#include "config/configuration.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/log_once.h"
#include "base/model_id.h"
#include "config/address.h"
#include "config/paths.h"
#include "config/resolve_model.h"
#include "config/text.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr const char *kStoreFlag = "-s", *kModelsFlag = "-m";

fs::path configuration_file(const ServeArguments& arguments, const Variables& variables) {
  if (!arguments.config_file.empty()) {
    if (!path_exists(arguments.config_file)) {
      throw_error(ErrorKind::kConfigInvalid, "-f {}: no such file", arguments.config_file);
    }
    return arguments.config_file;
  }
  if (variable(variables, "MODEL_SERVER_HOME").empty()) return {};
  const fs::path home = home_folder(variables);
  for (const fs::path& file : {home / "conf" / "config.properties", home / "config.properties"}) {
    if (path_exists(file)) return file;
  }
  return {};
}

void put_file(Layers& layers, const fs::path& file) {
  for (const auto& [key, value] : with_sources(read_properties(file), file.string())) {
    const Setting* row = find_setting(SettingScope::kServer, key);
    if (row && (lower(row->key) != row->key || row->key == "download_dir")) {
      warn_once(fmt::format("{} ({}): is read from the environment only", key, value.source));
    } else {
      layers.put(key, value.text, value.source);
    }
  }
}

// --host and --port change the parts of inference_address; both APIs move, unless the management
// address was given too.
void put_address_flags(Layers& layers, const ServeArguments& arguments) {
  std::string host, port;
  for (const auto& [flag, value] : arguments.server_flags) {
    (flag == "--host" ? host : port) = value;
  }
  if (host.empty() && port.empty()) return;
  const Settings::Value* given = layers.find("inference_address");
  const std::string text =
      given ? given->text
            : std::string(find_setting(SettingScope::kServer, "inference_address")->default_value);
  Address address = parse_address(text, "inference_address=" + text);
  if (address.kind == Address::Kind::kUnix) address = {Address::Kind::kHttp, "127.0.0.1", 8080};
  if (!host.empty()) {
    address.host = host;
    if (host.starts_with('[') && host.ends_with(']')) {
      address.host = host.substr(1, host.size() - 2);
    }
  }
  if (!port.empty()) {
    const std::optional<uint16_t> number = parse_port(port);
    if (!number) {
      throw_error(ErrorKind::kConfigInvalid, "--port {}: expected a port from 0 to {}", port,
                  kHighestPort);
    }
    address.port = *number;
  }
  const char* source = host.empty() ? "--port" : port.empty() ? "--host" : "--host, --port";
  layers.put("inference_address", format_address(address), source);
  if (!layers.find("management_address")) {
    layers.put("management_address", format_address(address), source);
  }
}

Layers server_layers(const ServeArguments& arguments, const Variables& variables) {
  Layers layers;
  const fs::path file = configuration_file(arguments, variables);
  if (!file.empty()) put_file(layers, file);
  if (!arguments.model_store.empty()) {
    layers.put("model_store", arguments.model_store, kStoreFlag);
  }
  if (!arguments.models.empty()) {
    layers.put("load_models", fmt::format("{}", fmt::join(arguments.models, ",")), kModelsFlag);
  }
  put_server_variables(layers, variables);
  for (const auto& [key, value] : arguments.options) {
    if (find_setting(SettingScope::kServer, key) && !find_setting(SettingScope::kModel, key)) {
      layers.put(key, value, "-o");
    }
  }
  put_address_flags(layers, arguments);
  return layers;
}

// Equal addresses share a listener. An unset management address on the port of inference can only
// mean the same listener: two can't be bound.
void resolve_addresses(ServerConfig& config) {
  Settings& settings = config.settings;
  const auto parse = [&](const char* key) {
    const Settings::Value value = settings.value(key);
    return parse_address(value.text, fmt::format("{}={} ({})", key, value.text, value.source));
  };
  config.inference = parse("inference_address");
  config.management = parse("management_address");
  const bool clash = config.inference.kind == config.management.kind &&
                     config.inference.port == config.management.port;
  if (clash && !settings.is_set("management_address") && settings.is_set("inference_address")) {
    const Settings::Value value = settings.value("inference_address");
    settings.set("management_address", value.text, value.source);
    config.management = config.inference;
  }
}

void add_model(ServerConfig& config, ModelConfig model) {
  for (const ModelConfig& other : config.models) {
    if (other.name == model.name && other.version == model.version) {
      throw_error(ErrorKind::kConflict, "Model {}{}{} is given twice: {} and {}", model.name,
                  model.version.empty() ? "" : " version ", model.version, other.url, model.url);
    }
  }
  config.models.push_back(std::move(model));
}

void add_items(ServerConfig& config, std::string_view items, ModelSources& sources,
               const fs::path& base) {
  sources.base = base;
  for (const std::string_view item : split(items, ", ")) {
    add_model(config, resolve_item(parse_model_item(item), sources));
  }
}

// What the person at the terminal named; an existing path is one even with '=' in it.
void add_positional(ServerConfig& config, const ServeArguments& arguments, ModelSources& sources) {
  sources.base = fs::current_path();
  for (const std::string& text : arguments.positional) {
    ModelItem item;
    if (path_exists(text)) {
      item.url = text;
    } else {
      item = parse_model_item(text);
    }
    const bool local = path_exists(sources.base / item.url) ||
                       (!sources.store.empty() && path_exists(sources.store / item.url));
    add_model(config, !local && is_hub_id(item.url) ? resolve_hub_item(item, sources)
                                                    : resolve_item(item, sources));
  }
}

void add_store(ServerConfig& config, const fs::path& store, const fs::path& hub_folder,
               ModelSources& sources) {
  if (!is_folder(store)) {
    warn_once("Model store path is not found: " + store.string());
    return;
  }
  sources.base = store;
  for (const fs::path& folder : scan_model_store(store, hub_folder)) {
    ModelItem item;
    item.url = folder.string() + (is_folder(folder) ? "/" : "");
    add_model(config, resolve_item(item, sources));
  }
}

void add_startup_models(ServerConfig& config, const ServeArguments& arguments,
                        const Variables& variables, const ModelFetcher& fetch) {
  const Settings& settings = config.settings;
  const fs::path home = home_folder(variables), here = fs::current_path();
  ModelSources sources;
  sources.server = &settings;
  sources.variables = &variables;
  sources.overrides = arguments.options;
  sources.fetch = fetch;
  if (settings.is_set("model_store")) {
    const Settings::Value store = settings.value("model_store");
    sources.store = ((store.source == kStoreFlag ? here : home) / store.text).lexically_normal();
  }
  if (!arguments.positional.empty()) {
    add_positional(config, arguments, sources);
    for (const std::string& items : arguments.models) add_items(config, items, sources, here);
    return;
  }
  const Settings::Value load = settings.value("load_models");
  const std::string wanted = lower(load.text);
  if (wanted == "none") return;
  const std::string hub_id(trim(variable(variables, "HF_MODEL_ID")));
  const fs::path hub_folder = hub_id.empty() ? fs::path() : home / hub_id;
  if (wanted == "all" || (wanted.empty() && !sources.store.empty())) {
    if (sources.store.empty()) {
      warn_once("Model store is not configured.");
    } else {
      add_store(config, sources.store, hub_folder, sources);
    }
  } else if (!wanted.empty()) {
    add_items(config, load.text, sources, load.source == kModelsFlag ? here : home);
  }
  if (!hub_id.empty()) add_model(config, resolve_hub_variable(sources));
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos && equals > 0) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return environment;
}

ServerConfig resolve_server(const ServeArguments& arguments, const Environment& environment,
                            const ModelFetcher& fetch) {
  const Variables variables = read_variables(environment);
  home_folder(variables);  // must exist even if nothing is read from it
  ServerConfig config;
  server_layers(arguments, variables).apply(config.settings);
  resolve_addresses(config);
  config.overrides = arguments.options;
  config.fetch = fetch;
  add_startup_models(config, arguments, variables, fetch);
  return config;
}

}  // namespace tensormill
