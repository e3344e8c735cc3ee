#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/registration.h"
#include "server/routes.h"
#include "server/worker_pool.h"

namespace tensormill {

// The management API: models, workflows, adapters, logging, metrics; and the probes. handle() runs
// on the I/O thread; models are loaded and freed on a worker thread of its own.
class Management {
 public:
  using Post = std::function<void(std::function<void()>)>;

  Management(const ServerConfig& server, ModelRegistry& models, Metrics& metrics,
             BackendFactory factory, Post post);

  // Every endpoint but the inference ones. Errors: ApiError and Error, for reply_error.
  void handle(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange,
              const Route& route);
  // Loads a model on the calling thread. Errors: those of the factory.
  void load(const ModelHandle& model);
  // Waits for loads and unloads that run, drops the others.
  void stop();

 private:
  void models(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void list_models(const HttpRequest& request, HttpExchange& exchange);
  void list_workflows(const HttpRequest& request, HttpExchange& exchange);
  void register_model(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  ModelHandle add_registered(const Registration& registration);
  std::optional<ApiError> load_registered(const ModelHandle& model);
  void one_model(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange,
                 const Route& route);
  void scale(const HttpRequest& request, HttpExchange& exchange, const Route& route);
  void unregister(const std::shared_ptr<HttpExchange>& exchange, const Route& route);
  void free_later(ModelHandle model);
  void adapters(const HttpRequest& request, HttpExchange& exchange, const Route& route);
  void logging(const HttpRequest& request, HttpExchange& exchange);
  void metrics_page(const HttpRequest& request, HttpExchange& exchange);

  const ServerConfig& server_;
  ModelRegistry& models_;
  Metrics& metrics_;
  BackendFactory factory_;
  Post post_;
  WorkerPool loader_{1}, reaper_{1};
};

// The body and status of GET /ping.
struct PingReply {
  int status;
  std::string body;
};
PingReply ping(const ModelRegistry& models, bool allow_multi_status);

}  // namespace tensormill
