#include "server/inference.h"

#include <utility>

#include "server/server_json.h"

namespace tensormill {
namespace {

ApiError bad_request(const std::string& message) {
  return {400, "BadRequestException", message};
}

ApiError not_found(const std::string& name) {
  return {404, "ModelNotFoundException", "Model or workflow not found: " + name};
}

}  // namespace

void require_ready(const ServedModel& model) {
  if (model.status != ModelStatus::kReady) {
    throw ApiError(503, "WlmException", "Model is not ready: " + model.config.name);
  }
  if (!model.has_workers() || model.backend->stats().lost) {
    throw ApiError(503, "WlmShutdownException",
                   "All model workers has been shutdown: " + model.config.name);
  }
}

Inference::Inference(const Settings& server, ModelRegistry& models, Metrics& metrics,
                     WorkerPool& workers, Post post, std::atomic<bool>& draining)
    : models_(models),
      workers_(workers),
      post_(std::move(post)),
      draining_(draining),
      inbox_(post_),
      environment_{&inbox_, &metrics, std::chrono::seconds(server.integer("chunked_read_timeout")),
                   &draining, [this](Call& call) { calls_.erase(&call); }} {}

void Inference::handle(const std::shared_ptr<const HttpRequest>& request,
                       const std::shared_ptr<HttpExchange>& client, const Route& route) {
  std::shared_ptr<HttpExchange> exchange = client;
  if (route.endpoint != Endpoint::kOpenAiCall) {
    const std::string token = request_property(*request, "x-starting-token");
    if (!token.empty()) {
      return async_.fetch(*client, token, request_property(*request, "x-max-items"));
    }
    const std::string synchronous = request_property(*request, "x-synchronous");
    if (!synchronous.empty() && !equals_ignoring_case(synchronous, "true") && !draining_) {
      exchange = async_.begin(*client);
    }
  }
  const Dialect dialect =
      route.endpoint == Endpoint::kOpenAiCall ? Dialect::kOpenAi : Dialect::kLmiRolling;
  const auto call = std::make_shared<Call>(environment_, exchange, dialect);
  calls_[call.get()] = call;
  exchange->on_gone([weak = std::weak_ptr<Call>(call)] {
    if (const auto left = weak.lock()) left->client_left();
  });
  workers_.post([this, call, request, route] { run(call, *request, route); });
}

// On a worker thread.
void Inference::run(const std::shared_ptr<Call>& call, const HttpRequest& request,
                    const Route& route) {
  try {
    if (draining_) throw ApiError(503, "ServiceUnavailableException", "The server shuts down");
    if (!request_property(request, "handler").empty()) {
      throw bad_request("The handler can't be overridden in a request");
    }
    const RequestContent content(request);
    const ModelHandle model = choose_model(request, content, route);
    const bool open_ai = route.endpoint == Endpoint::kOpenAiCall;
    const bool dynamic = model->config.mode() == ServingMode::kDynamic;
    call->aim(model, open_ai   ? Dialect::kOpenAi
                     : dynamic ? Dialect::kLmiDynamic
                               : Dialect::kLmiRolling);
    require_ready(*model);
    if (const std::string* adapter = find_value(request.query, "adapter");
        adapter && !models_.adapters(model).contains(*adapter)) {
      throw ApiError(503, "WlmException",
                     fmt::format("The adapter {} has not been registered", *adapter));
    }
    const Settings& settings = model->config.settings;
    const DialectContext context = model->backend->context(model->config.name, settings);
    call->prepare(parse_call(call->dialect(), content.content_type(), content.data(), context));
    if (dynamic && settings.integer("batch_size") > 1) {
      return post_([this, call] { add_to_batch(call); });
    }
    call->submit();
  } catch (...) {
    call->reject(std::current_exception());
  }
  post_([call] { call->on_submitted(); });
}

ModelHandle Inference::choose_model(const HttpRequest& request, const RequestContent& content,
                                    const Route& route) {
  std::string name = route.model, version = route.version;
  if (route.endpoint != Endpoint::kPredict) {
    if (const std::string* query = find_value(request.query, "model_name")) name = *query;
    if (name.empty()) name = request_property(request, "model_name");
    if (const std::string* field = content.field("model_name"); name.empty() && field) {
      name = *field;
    }
  }
  if (version.empty()) {
    const std::string* query = find_value(request.query, "model_version");
    version = query ? *query : request_property(request, "model_version");
  }
  if (name.empty() && route.endpoint == Endpoint::kOpenAiCall) {
    name = json_model_name(content.data());
    if (ModelHandle model = name.empty() ? nullptr : models_.find(name, version)) return model;
    // One model answers to any name, so that clients with a fixed one keep working.
    if (ModelHandle model = models_.only_model()) return model;
    if (!name.empty()) {
      throw ApiError(404, "ModelNotFoundException",
                     fmt::format("The model `{}` does not exist", name));
    }
  }
  if (name.empty()) {
    if (ModelHandle model = models_.only_startup_model()) return model;
    throw bad_request("Parameter model_name is required.");
  }
  if (ModelHandle model = models_.find(name, version)) return model;
  throw not_found(name);
}

void Inference::add_to_batch(const std::shared_ptr<Call>& call) {
  const Settings& settings = call->model()->config.settings;
  Batch& batch = batches_[call->model()];
  if (batch.calls.empty()) {
    batch.deadline = Clock::now() + std::chrono::milliseconds(settings.integer("max_batch_delay"));
  }
  batch.calls.push_back(call);
  if (static_cast<int64_t>(batch.calls.size()) < settings.integer("batch_size")) return;
  start(std::move(batch.calls));
  batches_.erase(call->model());
}

void Inference::start(std::vector<std::shared_ptr<Call>> calls) {
  workers_.post([this, calls = std::move(calls)] {
    for (const auto& call : calls) {
      call->submit();
      post_([call] { call->on_submitted(); });
    }
  });
}

void Inference::tick() {
  const auto now = Clock::now();
  for (auto it = batches_.begin(); it != batches_.end();) {
    const bool due = now >= it->second.deadline || draining_;
    if (due) start(std::move(it->second.calls));
    it = due ? batches_.erase(it) : std::next(it);
  }
  // A copy: a call that ends leaves the table.
  std::vector<std::shared_ptr<Call>> calls;
  calls.reserve(calls_.size());
  for (const auto& [key, call] : calls_) calls.push_back(call);
  for (const auto& call : calls) call->check_timeouts(now);
  time_out_waiting(calls, now);
  async_.evict();
}

// Of the calls that wait for a slot only the one at the head of its model's queue has a time
// limit; then the next is the head.
void Inference::time_out_waiting(const std::vector<std::shared_ptr<Call>>& calls,
                                 Clock::time_point now) {
  std::map<ServedModel*, std::shared_ptr<Call>> heads;
  for (const auto& call : calls) {
    if (!call->waits_for_slot()) continue;
    auto& head = heads[call->model().get()];
    if (!head || call->submitted_at() < head->submitted_at()) head = call;
  }
  for (const auto& [model, call] : heads) {
    const std::chrono::seconds limit(model->config.settings.integer("option.predict_timeout"));
    if (now - std::max(model->last_admission.load(), call->submitted_at()) < limit) continue;
    model->last_admission = now;
    call->time_out_waiting();
  }
}

}  // namespace tensormill
