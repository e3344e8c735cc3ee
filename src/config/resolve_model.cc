#include "config/resolve_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log_once.h"
#include "base/model_id.h"
#include "config/overrides.h"
#include "config/paths.h"
#include "config/text.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr const char* kPropertiesFile = "serving.properties";

// Settings of the server that stand in for a model's own.
constexpr const char* kShared[] = {"job_queue_size", "batch_size",      "max_batch_delay",
                                   "max_idle_time",  "retry_threshold", "reserved_memory_mb",
                                   "load_on_devices"};

struct VariableRow {
  const char *variable, *key;
};
constexpr VariableRow kModelVariables[] = {
    {"TENSOR_PARALLEL_DEGREE", "option.tensor_parallel_degree"},
    {"PREDICT_TIMEOUT", "option.predict_timeout"},
    {"MODEL_LOADING_TIMEOUT", "option.model_loading_timeout"},
};

// Parameters of POST /models under their own names.
constexpr VariableRow kRequestNames[] = {
    {"device", "load_on_devices"}, {"min_worker", "minWorkers"}, {"max_worker", "maxWorkers"}};

std::vector<std::pair<std::string, Settings::Value>> with_source(const KeyValues& values,
                                                                 const std::string& source) {
  std::vector<std::pair<std::string, Settings::Value>> result;
  for (const auto& [key, text] : values) {
    const auto* row =
        std::find_if(std::begin(kRequestNames), std::end(kRequestNames),
                     [&typed = key](const VariableRow& name) { return name.variable == typed; });
    const bool renamed = row != std::end(kRequestNames);
    result.emplace_back(renamed ? row->key : key, Settings::Value{text, source});
  }
  return result;
}

// Everything but the table's defaults, in the order of the sources.
Layers gather(const ModelSources& sources, const Layers& file, const ModelItem& item,
              const KeyValues& arguments) {
  Layers own;
  put_model_variables(own, *sources.variables);
  own.put_all(file);
  put_model_values(own, with_source(arguments, "url"));
  KeyValues request;
  for (const auto& [key, value] : sources.request) {
    const bool about_the_call =
        key == "url" || key == "model_name" || key == "model_version" || key == "synchronous";
    if (!about_the_call) request.emplace_back(key, value);
  }
  put_model_values(own, with_source(request, "load request"));
  if (!item.engine.empty()) own.put("engine", item.engine, "model item");
  if (!item.devices.empty()) own.put("load_on_devices", item.devices, "model item");
  put_overrides(own, sources.overrides);

  Layers all;
  for (const char* key : kShared) {
    if (!sources.server->is_set(key)) continue;
    const Settings::Value value = sources.server->value(key);
    all.put(key, value.text, value.source);
  }
  for (const VariableRow& row : kModelVariables) {
    const auto found = sources.variables->find(row.variable);
    if (found != sources.variables->end()) {
      all.put(row.key, found->second.value, found->second.source);
    }
  }
  all.put_all(own);
  const auto alias = [&](const char* key, const char* other) {
    const Settings::Value* value = own.find(other);
    if (!own.find(key) && value) all.put(key, value->text, value->source + " " + other);
  };
  alias("batch_size", "max_dynamic_batch_size");
  alias("option.model_id", "option.s3url");
  alias("option.model_id", "option.model_dir");
  return all;
}

void check_together(const ModelConfig& config) {
  const Settings& settings = config.settings;
  const int64_t batch =
      std::max(settings.integer("batch_size"), settings.integer("option.batch_size"));
  if (config.mode() == ServingMode::kDynamic) {
    if (batch > 1 && settings.text("option.enable_streaming") != "false") {
      throw_error(ErrorKind::kConfigInvalid,
                  "option.enable_streaming={} ({}): We cannot enable streaming for dynamic "
                  "batching; expected false, or batch_size 1 instead of {}",
                  settings.text("option.enable_streaming"),
                  settings.value("option.enable_streaming").source, batch);
    }
  } else if (settings.integer("batch_size") > 1) {
    warn_once(fmt::format("{}: batch_size={} ({}) has no effect in rolling mode", config.name,
                          settings.integer("batch_size"), settings.value("batch_size").source));
  }
}

void check_folder(const ModelConfig& config) {
  const fs::path& folder = config.model_folder;
  if (!config.directory.empty() && path_exists(config.directory / "model.py") &&
      !config.settings.is_set("option.entryPoint")) {
    throw_error(ErrorKind::kUnsupported,
                "{}: Python handlers are not supported yet by this build; set "
                "option.entryPoint=djl_python.deepspeed to serve the model without it",
                (config.directory / "model.py").string());
  }
  const bool described =
      config.settings.is_set("engine") || config.settings.is_set("option.model_id") ||
      path_exists(folder / "config.json") || path_exists(folder / "adapter_config.json");
  if (!described) {
    throw_error(ErrorKind::kNotFound,
                "Failed to detect engine of the model: {}: expected config.json or {} there",
                folder.string(), kPropertiesFile);
  }
}

std::string request_value(const KeyValues& request, std::string_view key) {
  for (const auto& [name, value] : request) {
    if (name == key) return value;
  }
  return {};
}

void fill_settings(ModelConfig& config, Layers layers, const fs::path& home) {
  if (const Settings::Value* file = layers.find("option.deepspeed_config_path")) {
    fs::path path = home / file->text;
    if (!path_exists(path)) path = config.directory / file->text;
    if (!path_exists(path)) {
      throw_error(ErrorKind::kConfigInvalid,
                  "option.deepspeed_config_path={} ({}): no such file; expected a JSON file",
                  file->text, file->source);
    }
    put_deepspeed_config(layers, path);
  }
  layers.apply(config.settings);
}

// Where option.model_id leads to.
void put_files(ModelConfig& config, const std::vector<fs::path>& bases, const std::string& label) {
  ModelFiles files = find_model_files(config.settings.text("option.model_id"), bases, label);
  config.model_folder = std::move(files.folder);
  config.source = std::move(files.source);
}

// A model without a folder of its own: `values` say all of it.
ModelConfig resolve_without_folder(const ModelItem& item, const ModelSources& sources,
                                   const Layers& values) {
  const fs::path home = home_folder(*sources.variables);
  ModelConfig config;
  config.name = item.name;
  config.version = item.version;
  fill_settings(config, gather(sources, values, item, {}), home);
  const Settings::Value effective = config.settings.value("option.model_id");
  put_files(config, {home}, fmt::format("{}={}", effective.source, effective.text));
  config.url = config.source.empty() ? "file:" + config.model_folder.string() : config.source;
  check_together(config);
  return config;
}

}  // namespace

fs::path home_folder(const Variables& variables) {
  const std::string home(trim(variable(variables, "MODEL_SERVER_HOME")));
  if (home.empty()) return fs::current_path();
  std::error_code error;
  const fs::path folder = fs::absolute(home, error);
  if (error || !fs::is_directory(folder, error)) {
    throw_error(ErrorKind::kConfigInvalid,
                "MODEL_SERVER_HOME={}: no such folder; expected one that exists", home);
  }
  return folder;
}

ModelConfig resolve_item(const ModelItem& item, const ModelSources& sources) {
  const fs::path home = home_folder(*sources.variables);
  const ModelPlace place = find_model(item.url, sources.base, sources.store, sources.fetch);
  ModelConfig config;
  config.url = place.url;
  config.directory = config.model_folder = place.directory;
  config.name = request_value(sources.request, "model_name");
  if (config.name.empty()) config.name = item.name;
  if (config.name.empty()) {
    // "." and ".." have no name of their own; what they stand for does.
    const bool dots = item.url.find_first_not_of("./") == std::string::npos;
    config.name = model_name_of_url(dots ? place.url : item.url);
  }
  if (config.name.empty()) {
    throw_error(ErrorKind::kConfigInvalid, "{}: expected name=url for a url without a name",
                printable(item.url));
  }
  config.version = request_value(sources.request, "model_version");
  if (config.version.empty()) config.version = item.version;

  Layers file;
  const fs::path properties = place.directory / kPropertiesFile;
  if (path_exists(properties)) {
    put_model_values(file, with_sources(read_properties(properties), properties.string()));
  }
  fill_settings(config, gather(sources, file, item, place.arguments), home);
  if (config.settings.is_set("option.model_id")) {
    const Settings::Value id = config.settings.value("option.model_id");
    put_files(config, {home, place.directory},
              fmt::format("option.model_id={} ({})", printable(id.text), id.source));
  }
  check_folder(config);
  check_together(config);
  return config;
}

ModelConfig resolve_hub_variable(const ModelSources& sources) {
  const Variables& variables = *sources.variables;
  const std::string id(trim(variable(variables, "HF_MODEL_ID")));
  ModelItem item;
  item.name = model_name_of_text(id);
  Layers values;
  values.put("option.model_id", id, "HF_MODEL_ID");
  const auto copy = [&](const char* name, const char* key) {
    const std::string value = variable(variables, name);
    if (!value.empty()) values.put(key, value, name);
  };
  copy("HF_TASK", "option.task");
  copy("HF_REVISION", "option.revision");
  return resolve_without_folder(item, sources, values);
}

ModelConfig resolve_hub_item(const ModelItem& given, const ModelSources& sources) {
  ModelItem item = given;
  if (item.name.empty()) item.name = model_name_of_url(item.url);
  Layers values;
  values.put("option.model_id", item.url, "MODEL");
  return resolve_without_folder(item, sources, values);
}

bool is_fetched_item(const std::string& item) {
  const std::string url = parse_model_item(item).url;
  return is_download_url(url) || has_archive_suffix(url.substr(0, url.find('?')));
}

std::string model_name_of_item(const std::string& text) {
  const ModelItem item = parse_model_item(text);
  return item.name.empty() ? model_name_of_url(item.url) : item.name;
}

ServingMode ModelConfig::mode() const {
  const std::string& rolling = settings.text("option.rolling_batch");
  if (rolling == "disable") return ServingMode::kDynamic;
  if (rolling == "deepspeed") return ServingMode::kRolling;
  const bool wanted = rolling == "auto" || !settings.is_set("engine");
  return wanted && settings.integer("batch_size") == 1 ? ServingMode::kRolling
                                                       : ServingMode::kDynamic;
}

ModelConfig resolve_model(const std::string& item, const Settings& server,
                          const Environment& environment, const KeyValues& request,
                          const KeyValues& overrides, const ModelFetcher& fetch) {
  const Variables variables = read_variables(environment);
  ModelSources sources;
  sources.server = &server;
  sources.variables = &variables;
  sources.base = home_folder(variables);
  if (server.is_set("model_store")) sources.store = sources.base / server.text("model_store");
  sources.request = request;
  sources.overrides = overrides;
  sources.fetch = fetch;
  return resolve_item(parse_model_item(item), sources);
}

}  // namespace tensormill
