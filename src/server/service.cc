#include "server/service.h"

#include <spdlog/spdlog.h>

#include <thread>
#include <utility>

#include "base/json.h"
#include "server/describe_model.h"
#include "server/server_json.h"

namespace tensormill {
namespace {

HttpOptions http_options(const Settings& settings) {
  HttpOptions options;
  options.max_request_size = static_cast<size_t>(settings.integer("max_request_size"));
  for (const char* part : {"origin", "methods", "headers"}) {
    const std::string& value = settings.text(fmt::format("cors_allowed_{}", part));
    if (value.empty()) continue;
    options.cors.emplace_back(fmt::format("access-control-allow-{}", part), header_safe(value));
  }
  if (options.cors.size() != 3) options.cors.clear();  // all three or none, as the original
  return options;
}

bool same_address(const Address& a, const Address& b) {
  return a.kind == b.kind && a.host == b.host && a.port == b.port;
}

int worker_threads() {
  return std::max(1, std::min(4, static_cast<int>(std::thread::hardware_concurrency())));
}

}  // namespace

Service::Service(const ServerConfig& config, BackendFactory factory)
    : config_(config), factory_(std::move(factory)) {
  http_ = std::make_unique<HttpServer>(
      http_options(config_.settings),
      [this](const std::shared_ptr<const HttpRequest>& request,
             const std::shared_ptr<HttpExchange>& exchange) { handle(request, exchange); });
  const auto post = [this](std::function<void()> job) { http_->post(std::move(job)); };
  workers_ = std::make_unique<WorkerPool>(worker_threads());
  inference_ =
      std::make_unique<Inference>(config_.settings, models_, metrics_, *workers_, post, draining_);
  management_ = std::make_unique<Management>(config_, models_, metrics_, factory_, post);
  http_->every_tick([this] { inference_->tick(); });
}

// An engine that goes while requests run would still tell calls about it, so all must have ended
// before the first object goes.
Service::~Service() {
  draining_ = true;
  management_->stop();
  workers_->stop();
  for (const ModelHandle& model : models_.all()) {
    if (model->backend) model->backend->drain(std::chrono::steady_clock::now());
  }
  http_->stop();
}

void Service::add_startup_models() {
  for (const ModelConfig& model : config_.models) startup_.push_back(models_.add(model));
}

bool Service::load_startup_models() {
  // Handed over: whoever unregisters a model waits for its last holder.
  const std::vector<ModelHandle> models = std::exchange(startup_, {});
  for (const ModelHandle& model : models) {
    const std::string& name = model->config.name;
    try {
      management_->load(model);
    } catch (const std::exception& error) {
      spdlog::error("model {} failed to load: {}", name, error.what());
      metrics_.count("ModelLoadingError", "Model", name);
      return false;
    }
  }
  return true;
}

std::vector<uint16_t> Service::listen() {
  const bool both = same_address(config_.inference, config_.management);
  roles_ = both ? std::vector<ListenerRole>{{true, true}}
                : std::vector<ListenerRole>{{true, false}, {false, true}};
  std::vector<uint16_t> ports{http_->listen(config_.inference)};
  if (!both) ports.push_back(http_->listen(config_.management));
  return ports;
}

void Service::drain() {
  draining_ = true;
  std::vector<std::thread> drains;
  for (const ModelHandle& model : models_.all()) {
    if (model->status != ModelStatus::kReady) continue;
    drains.emplace_back([model] {
      const std::chrono::seconds limit(model->config.settings.integer("option.predict_timeout"));
      model->backend->drain(std::chrono::steady_clock::now() + limit);
    });
  }
  for (std::thread& drain : drains) drain.join();
  // What the engines delivered last is still on its way to the clients.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (http_->open_exchanges() > 0 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

void Service::handle(const std::shared_ptr<const HttpRequest>& request,
                     const std::shared_ptr<HttpExchange>& exchange) {
  const std::string_view path =
      std::string_view(request->target).substr(0, request->target.find('?'));
  const Route route = find_route(path, roles_.at(static_cast<size_t>(request->listener)));
  try {
    if (request->method == "OPTIONS") return options(*request, exchange, route);
    switch (route.endpoint) {
      case Endpoint::kInvocations:
      case Endpoint::kPredict:
      case Endpoint::kOpenAiCall:
        return inference_->handle(request, exchange, route);
      case Endpoint::kOpenAiModels:
        return open_ai_models(*request, *exchange, route);
      default:
        break;
    }
    if (draining_) throw ApiError(503, "ServiceUnavailableException", "The server shuts down");
    management_->handle(*request, exchange, route);
  } catch (const ApiError& error) {
    reply_error(*exchange, error);
  } catch (const Error& error) {
    reply_error(*exchange, api_error(error));
  } catch (const std::exception& error) {
    reply_error(*exchange, ApiError(500, "InternalServerException", error.what()));
  }
}

void Service::options(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange,
                      const Route& route) {
  switch (route.endpoint) {
    case Endpoint::kPredict:
      if (models_.versions(route.model, route.version).empty()) {
        throw ApiError(404, "ModelNotFoundException",
                       "Model or workflow not found: " + route.model);
      }
      break;
    case Endpoint::kRoot:
    case Endpoint::kInvocations:
    case Endpoint::kOpenAiCall:
    case Endpoint::kOpenAiModels:
      break;
    default:
      return management_->handle(request, exchange, route);
  }
  reply_json(*exchange, 200, OrderedJson::object());
}

void Service::open_ai_models(const HttpRequest&, HttpExchange& exchange, const Route& route) {
  const auto row = [](const ServedModel& model) {
    const auto created = std::chrono::system_clock::to_time_t(model.started);
    return OrderedJson{{"id", model.config.name},
                       {"object", "model"},
                       {"created", static_cast<int64_t>(created)},
                       {"owned_by", "tensormill"}};
  };
  OrderedJson rows = OrderedJson::array();
  std::string last;
  for (const ModelHandle& model : models_.all()) {
    if (health_of(*model) >= Health::kPending || model->config.name == last) continue;
    last = model->config.name;
    if (route.model.empty() || route.model == last) rows.push_back(row(*model));
  }
  if (route.model.empty()) {
    return reply_json(exchange, 200, OrderedJson{{"object", "list"}, {"data", std::move(rows)}});
  }
  if (!rows.empty()) return reply_json(exchange, 200, rows.front());
  static const Settings kDefaults(SettingScope::kModel);
  Reply reply = error_reply(
      Dialect::kOpenAi,
      Error(ErrorKind::kNotFound, fmt::format("The model `{}` does not exist", route.model)),
      kDefaults);
  exchange.reply({reply.status, header_safe(reply.reason), {{"content-type", reply.content_type}}},
                 std::move(reply.body));
}

}  // namespace tensormill
