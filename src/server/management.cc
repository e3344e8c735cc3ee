#include "server/management.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>
#include <utility>

#include "base/json.h"
#include "server/describe_model.h"
#include "server/registration.h"
#include "server/server_json.h"

namespace tensormill {
namespace {

constexpr int kPageSize = 100;

ApiError method_not_allowed() {
  return {405, "MethodNotAllowedException",
          "Requested method is not allowed, please refer to API document."};
}

ApiError model_not_found(const std::string& name) {
  return {404, "ModelNotFoundException", "Model or workflow not found: " + name};
}

bool is_get(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

// A page of sorted rows: query `limit` and `next_page_token`.
struct Page {
  size_t begin, end;
  std::string next;  // "": nothing follows
};
Page page_of(const HttpRequest& request, size_t rows) {
  int limit = integer_parameter(request.query, "limit").value_or(kPageSize);
  if (limit <= 0 || limit > kPageSize) limit = kPageSize;
  const int token = integer_parameter(request.query, "next_page_token").value_or(0);
  const size_t begin = std::min(static_cast<size_t>(std::max(token, 0)), rows);
  const size_t end = std::min(begin + static_cast<size_t>(limit), rows);
  return {begin, end, end < rows ? std::to_string(end) : ""};
}

}  // namespace

Management::Management(const ServerConfig& server, ModelRegistry& models, Metrics& metrics,
                       BackendFactory factory, Post post)
    : server_(server),
      models_(models),
      metrics_(metrics),
      factory_(std::move(factory)),
      post_(std::move(post)) {}

void Management::stop() {
  loader_.stop();
  reaper_.stop();
}

void Management::load(const ModelHandle& model) {
  const auto began = std::chrono::steady_clock::now();
  models_.load(model, factory_);
  const auto took = std::chrono::steady_clock::now() - began;
  metrics_.gauge("LoadModel", "Model", model->config.name,
                 std::chrono::duration<double, std::micro>(took).count());
  spdlog::info("model {} loaded in {:.1f} s", model->config.name,
               std::chrono::duration<double>(took).count());
}

void Management::handle(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange,
                        const Route& route) {
  switch (route.endpoint) {
    case Endpoint::kPing: {
      PingReply reply = ping(models_, server_.settings.flag("allow_multi_status"));
      return exchange->reply({reply.status, "", {{"content-type", "application/json"}}},
                             std::move(reply.body));
    }
    case Endpoint::kHealthLive:
    case Endpoint::kHealthReady: {
      bool ready = true;
      for (const ModelHandle& model : models_.all()) {
        ready &= health_of(*model) < Health::kPending;
      }
      return exchange->reply({ready ? 200 : 424, "", {{"content-type", "application/json"}}}, "");
    }
    case Endpoint::kModels:
      return models(request, exchange);
    case Endpoint::kWorkflows:
      if (is_get(request)) return list_workflows(request, *exchange);
      if (request.method != "POST") throw method_not_allowed();
      if (!find_value(request.query, "url") && !find_value(request.query, "template")) {
        throw ApiError(400, "BadRequestException", "Either parameter url or template is required.");
      }
      throw ApiError(400, "BadRequestException",
                     "Workflow definitions are not supported: register models with POST /models");
    case Endpoint::kModel:
    case Endpoint::kWorkflow:
      return one_model(request, exchange, route);
    case Endpoint::kAdapters:
    case Endpoint::kAdapter:
      return adapters(request, *exchange, route);
    case Endpoint::kServerLogging:
      return logging(request, *exchange);
    case Endpoint::kServerMetrics:
      return metrics_page(request, *exchange);
    default:
      break;
  }
  throw ApiError(404, "ResourceNotFoundException",
                 "Requested resource is not found, please refer to API document.");
}

void Management::models(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  if (is_get(request)) return list_models(request, *exchange);
  if (request.method == "POST") return register_model(request, exchange);
  throw method_not_allowed();
}

void Management::list_models(const HttpRequest& request, HttpExchange& exchange) {
  const auto all = models_.all();
  const Page page = page_of(request, all.size());
  OrderedJson reply = OrderedJson::object();
  if (!page.next.empty()) reply["nextPageToken"] = page.next;
  reply["models"] = OrderedJson::array();
  for (size_t i = page.begin; i < page.end; ++i) {
    const ModelConfig& config = all[i]->config;
    OrderedJson row{{"modelName", config.name}};
    if (!config.version.empty()) row["version"] = config.version;
    row["modelUrl"] = config.url;
    const Health health = health_of(*all[i]);
    row["status"] = health == Health::kPending  ? "PENDING"
                    : health == Health::kFailed ? "FAILED"
                                                : "READY";
    reply["models"].push_back(std::move(row));
  }
  reply_json(exchange, 200, reply);
}

void Management::list_workflows(const HttpRequest& request, HttpExchange& exchange) {
  const auto all = models_.all();
  const Page page = page_of(request, all.size());
  OrderedJson reply = OrderedJson::object();
  if (!page.next.empty()) reply["nextPageToken"] = page.next;
  reply["workflows"] = OrderedJson::array();
  for (size_t i = page.begin; i < page.end; ++i) {
    OrderedJson row{{"workflowName", all[i]->config.name}};
    if (!all[i]->config.version.empty()) row["version"] = all[i]->config.version;
    reply["workflows"].push_back(std::move(row));
  }
  reply_json(exchange, 200, reply);
}

ModelHandle Management::add_registered(const Registration& registration) {
  ModelConfig config = resolve_model(registration.item, server_.settings, process_environment(),
                                     registration.parameters, server_.overrides, server_.fetch);
  config.loaded_at_startup = false;
  ModelHandle model = models_.add(std::move(config));
  if (registration.min_workers) model->min_workers = *registration.min_workers;
  if (registration.max_workers) {
    model->max_workers = *registration.max_workers;
    model->min_workers = std::min(model->min_workers.load(), *registration.max_workers);
  }
  model->max_workers = std::max(model->max_workers.load(), model->min_workers.load());
  return model;
}

// What went wrong, if anything.
std::optional<ApiError> Management::load_registered(const ModelHandle& model) {
  const std::string& name = model->config.name;
  std::optional<ApiError> failure;
  try {
    load(model);
    return failure;
  } catch (const ApiError& error) {
    failure = error;
  } catch (const Error& error) {
    failure = load_error(error);
  } catch (const std::exception& error) {
    failure = ApiError(500, "EngineException", error.what());
  }
  spdlog::error("model {}: {}", name, failure->what());
  metrics_.count("ModelLoadingError", "Model", name);
  return failure;
}

void Management::register_model(const HttpRequest& request,
                                const std::shared_ptr<HttpExchange>& exchange) {
  const Registration registration = read_registration(request);
  const bool wait = registration.synchronous;
  // What has to be fetched before it can be looked at is looked at by the loader.
  ModelHandle known;
  if (!is_fetched_item(registration.item)) known = add_registered(registration);
  const std::string name = known ? known->config.name : model_name_of_item(registration.item);
  loader_.post([this, known, registration, exchange, wait] {
    ModelHandle model = known;
    std::optional<ApiError> failure;
    try {
      if (!model) model = add_registered(registration);
    } catch (const ApiError& error) {
      failure = error;
    } catch (const Error& error) {
      failure = api_error(error);
    } catch (const std::exception& error) {
      failure = ApiError(500, "EngineException", error.what());
    }
    if (failure) spdlog::error("{}: {}", registration.item, failure->what());
    if (model) failure = load_registered(model);
    if (model && failure && wait) models_.remove(model);
    if (!wait) return;
    post_([exchange, failure, model] {
      if (failure) return reply_error(*exchange, *failure);
      reply_status(*exchange, 200, fmt::format("Model \"{}\" registered.", model->config.name));
    });
  });
  if (!wait) {
    reply_status(*exchange, 202, fmt::format("Model \"{}\" registration scheduled.", name));
  }
}

void Management::one_model(const HttpRequest& request,
                           const std::shared_ptr<HttpExchange>& exchange, const Route& route) {
  if (request.method == "PUT") return scale(request, *exchange, route);
  if (request.method == "DELETE") return unregister(exchange, route);
  if (!is_get(request)) throw method_not_allowed();
  const auto versions = models_.versions(route.model, route.version);
  if (versions.empty()) {
    std::string text = "Workflow not found: " + route.model;
    if (!route.version.empty()) text = "Workflow not found: " + text + "/" + route.version;
    throw ApiError(404, "ModelNotFoundException", text);
  }
  OrderedJson reply = OrderedJson::array();
  for (const ModelHandle& model : versions) reply.push_back(describe_model(*model));
  reply_json(*exchange, 200, reply);
}

void Management::scale(const HttpRequest& request, HttpExchange& exchange, const Route& route) {
  std::optional<int> low, high;
  try {
    low = integer_parameter(request.query, "min_worker");
    high = integer_parameter(request.query, "max_worker");
  } catch (const ApiError& error) {
    throw ApiError(400, "BadRequestException", error.what());
  }
  const auto versions = models_.versions(route.model, route.version);
  if (versions.empty()) throw model_not_found(route.model);
  for (const ModelHandle& model : versions) {
    if (model->status != ModelStatus::kReady) {
      throw ApiError(503, "ServiceUnavailableException",
                     "Model or workflow is not ready: " + route.model);
    }
  }
  if (low.value_or(0) < 0 || high.value_or(0) < 0 || low.value_or(0) > high.value_or(1 << 30)) {
    throw ApiError(400, "BadRequestException", "Invalid min_worker or max_worker value.");
  }
  std::string text;
  for (const ModelHandle& model : versions) {
    if (high) {
      model->max_workers = *high;
      model->min_workers = std::min(model->min_workers.load(), *high);
    }
    if (low) {
      model->min_workers = *low;
      model->max_workers = std::max(model->max_workers.load(), *low);
    }
    if (!text.empty()) text += '\n';
    text += fmt::format(
        "Workflow \"{}\" worker scaled. New Worker configuration min workers:{} max workers:{}",
        route.model, low.value_or(-1), high.value_or(-1));
  }
  reply_status(exchange, 200, text);
}

void Management::unregister(const std::shared_ptr<HttpExchange>& exchange, const Route& route) {
  auto removed = models_.remove(route.model, route.version);
  if (removed.empty()) throw model_not_found(route.model);
  for (ModelHandle& model : removed) free_later(std::move(model));
  reply_status(*exchange, 200, fmt::format("Model or workflow \"{}\" unregistered", route.model));
}

// Calls that run may end; then the weights are freed, not on the I/O thread.
void Management::free_later(ModelHandle model) {
  reaper_.post([model = std::move(model)]() mutable {
    if (model->backend) {
      const std::chrono::seconds limit(model->config.settings.integer("option.predict_timeout"));
      model->backend->drain(std::chrono::steady_clock::now() + limit);
    }
    while (model.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    model.reset();
  });
}

void Management::adapters(const HttpRequest& request, HttpExchange& exchange, const Route& route) {
  const ModelHandle model =
      route.model.empty() ? models_.only_startup_model() : models_.find(route.model, route.version);
  if (!model) {
    throw ApiError(400, "BadRequestException",
                   route.model.empty() ? "The parameter model is required"
                                       : fmt::format("The model {} was not found", route.model));
  }
  const auto known = models_.adapters(model);
  const auto row = [](const std::string& name, const std::string& source) {
    return OrderedJson{{"name", name}, {"src", source}};
  };
  if (route.endpoint == Endpoint::kAdapters && request.method == "POST") {
    const auto required = [&](const char* key) -> const std::string& {
      const std::string* value = find_value(request.query, key);
      if (value) return *value;
      throw ApiError(400, "BadRequestException", fmt::format("The parameter {} is required", key));
    };
    const std::string &name = required("name"), &source = required("src");
    if (source.find("://") != std::string::npos) {
      throw ApiError(500, "IllegalArgumentException", "URL adapters are not currently supported");
    }
    if (!models_.add_adapter(model, name, source)) {
      throw ApiError(500, "IllegalArgumentException",
                     fmt::format("The adapter {} is already registered", name));
    }
    spdlog::warn("adapter {}: its name is kept; all requests get {} as it was loaded", name,
                 model->config.name);
    return reply_status(exchange, 200, fmt::format("Adapter {} registered", name));
  }
  if (route.endpoint == Endpoint::kAdapters) {
    if (!is_get(request)) throw method_not_allowed();
    const Page page = page_of(request, known.size());
    OrderedJson reply = OrderedJson::object();
    if (!page.next.empty()) reply["nextPageToken"] = page.next;
    reply["adapters"] = OrderedJson::array();
    size_t index = 0;
    for (const auto& [name, source] : known) {
      if (index >= page.begin && index < page.end) reply["adapters"].push_back(row(name, source));
      ++index;
    }
    return reply_json(exchange, 200, reply);
  }
  const auto found = known.find(route.adapter);
  if (found == known.end()) {
    throw ApiError(400, "BadRequestException",
                   fmt::format("The adapter {} was not found", route.adapter));
  }
  if (request.method == "DELETE") {
    models_.remove_adapter(model, route.adapter);
    return reply_status(exchange, 200, fmt::format("Adapter {} registered", route.adapter));
  }
  if (!is_get(request)) throw method_not_allowed();
  reply_json(exchange, 200, row(found->first, found->second));
}

void Management::logging(const HttpRequest& request, HttpExchange& exchange) {
  const std::string* level = find_value(request.query, "level");
  const std::string name = level && !level->empty() ? *level : "info";
  std::string lower;
  for (const char c : name) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const auto parsed = spdlog::level::from_str(lower);
  if (parsed == spdlog::level::off && lower != "off") {
    spdlog::warn("logging level {} is unknown: the level stays", header_safe(name));
  } else {
    spdlog::set_level(parsed);
  }
  reply_status(exchange, 200, "OK");
}

void Management::metrics_page(const HttpRequest& request, HttpExchange& exchange) {
  if (!is_get(request)) throw method_not_allowed();
  if (!server_.settings.flag("prometheus")) {
    throw ApiError(400, "BadRequestException",
                   "Prometheus is not enabled, set SERVING_PROMETHEUS environment var to true to "
                   "enable prometheus metrics");
  }
  std::vector<std::string> names;
  for (const auto& [key, value] : request.query) {
    if (key == "name[]") names.push_back(value);
  }
  exchange.reply({200, "", {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}},
                 metrics_.render(models_, names));
}

}  // namespace tensormill
