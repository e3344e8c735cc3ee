#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "server/async_results.h"
#include "server/call.h"
#include "server/request_content.h"
#include "server/routes.h"
#include "server/worker_pool.h"

namespace tensormill {

// Takes inference requests from HTTP to the engines and back.
class Inference {
 public:
  using Post = std::function<void(std::function<void()>)>;  // runs a job on the I/O thread

  Inference(const Settings& server, ModelRegistry& models, Metrics& metrics, WorkerPool& workers,
            Post post, std::atomic<bool>& draining);

  // I/O thread. Endpoints kInvocations, kPredict and kOpenAiCall.
  void handle(const std::shared_ptr<const HttpRequest>& request,
              const std::shared_ptr<HttpExchange>& exchange, const Route& route);
  // I/O thread, every 100 ms: time limits and batches that waited long enough.
  void tick();
  // I/O thread. Calls whose requests haven't all ended.
  size_t open_calls() const { return calls_.size(); }

 private:
  struct Batch {
    std::vector<std::shared_ptr<Call>> calls;
    Clock::time_point deadline;
  };

  void run(const std::shared_ptr<Call>& call, const HttpRequest& request, const Route& route);
  ModelHandle choose_model(const HttpRequest& request, const RequestContent& content,
                           const Route& route);
  void add_to_batch(const std::shared_ptr<Call>& call);
  void start(std::vector<std::shared_ptr<Call>> calls);
  void time_out_waiting(const std::vector<std::shared_ptr<Call>>& calls, Clock::time_point now);

  ModelRegistry& models_;
  WorkerPool& workers_;
  Post post_;
  std::atomic<bool>& draining_;
  EventInbox inbox_;
  CallEnvironment environment_;
  std::unordered_map<Call*, std::shared_ptr<Call>> calls_;
  std::map<ModelHandle, Batch> batches_;
  AsyncResults async_;
};

// Waiting, failed or without workers: the 503 that says so.
void require_ready(const ServedModel& model);

}  // namespace tensormill
