#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "server/http.h"
#include "server/inference.h"
#include "server/management.h"

namespace tensormill {

// The whole server but for startup and signals: HTTP in, models behind. Tests run it in-process
// with a backend of their own.
class Service {
 public:
  Service(const ServerConfig& config, BackendFactory factory);
  ~Service();

  ModelRegistry& models() { return models_; }
  Metrics& metrics() { return metrics_; }
  HttpServer& http() { return *http_; }

  // Registers the startup models as pending. Errors: those of ModelRegistry::add.
  void add_startup_models();
  // Loads them one after another on the calling thread. false: one failed; it is logged.
  bool load_startup_models();
  // Binds both addresses, or the one where they are the same. The ports that were bound.
  std::vector<uint16_t> listen();

  // New requests get 503 from now on; waiting ones too; running ones may end within their model's
  // predict_timeout. Returns when none is left.
  void drain();

 private:
  void handle(const std::shared_ptr<const HttpRequest>& request,
              const std::shared_ptr<HttpExchange>& exchange);
  void open_ai_models(const HttpRequest& request, HttpExchange& exchange, const Route& route);
  void options(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange,
               const Route& route);

  const ServerConfig config_;
  const BackendFactory factory_;
  ModelRegistry models_;
  Metrics metrics_;
  std::atomic<bool> draining_{false};
  std::vector<ListenerRole> roles_;   // of the listeners, complete before the first request
  std::vector<ModelHandle> startup_;  // not loaded yet
  // What uses others stands below them.
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<Inference> inference_;
  std::unique_ptr<Management> management_;
};

}  // namespace tensormill
