#include "server/describe_model.h"

#include <algorithm>
#include <ctime>

#include "base/json.h"
#include "server/management.h"
#include "server/server_json.h"

namespace tensormill {
namespace {

// Local time with a literal Z, as clients of the original parse it.
std::string start_time(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &local);
  return fmt::format("{}.{:03}Z", text, millis);
}

}  // namespace

const char* health_of(const ServedModel& model) {
  switch (model.status) {
    case ModelStatus::kPending:
      return "PENDING";
    case ModelStatus::kFailed:
      return "FAILED";
    case ModelStatus::kReady:
      break;
  }
  return "Healthy";
}

OrderedJson describe_model(const ServedModel& model) {
  const ModelConfig& config = model.config;
  const Settings& settings = config.settings;
  const bool ready = model.status == ModelStatus::kReady;
  OrderedJson workers = OrderedJson::array();
  for (int i = 0; ready && i < model.min_workers; ++i) {
    workers.push_back({{"id", model.id * 1000 + i + 1},
                       {"startTime", start_time(model.started)},
                       {"status", "READY"}});
  }
  const int gpu = ready ? model.backend->gpu() : -1;
  OrderedJson group{{"device", {{"deviceType", gpu >= 0 ? "gpu" : "cpu"}, {"deviceId", gpu}}},
                    {"minWorkers", model.min_workers.load()},
                    {"maxWorkers", model.max_workers.load()},
                    {"workers", std::move(workers)}};
  OrderedJson row{{"modelName", config.name},
                  {"modelUrl", config.url},
                  {"batchSize", settings.integer("batch_size")},
                  {"maxBatchDelayMillis", settings.integer("max_batch_delay")},
                  {"maxIdleSeconds", settings.integer("max_idle_time")},
                  {"queueSize", settings.integer("job_queue_size")},
                  {"requestInQueue", ready ? model.backend->stats().waiting : 0},
                  {"status", health_of(model)},
                  {"loadedAtStartup", config.loaded_at_startup},
                  {"workerGroups", OrderedJson::array({std::move(group)})}};
  OrderedJson reply{{"workflowName", config.name}};
  if (!config.version.empty()) reply["version"] = config.version;
  reply["models"] = OrderedJson::array({std::move(row)});
  return reply;
}

PingReply ping(const ModelRegistry& models, bool allow_multi_status) {
  OrderedJson body = OrderedJson::object();
  bool pending = false, failed = false;
  for (const ModelHandle& model : models.all()) {
    pending |= model->status == ModelStatus::kPending;
    failed |= model->status == ModelStatus::kFailed;
    auto& entry = body[model->config.name];
    // Of several versions the one that is worst off speaks.
    if (entry.is_null() || model->status != ModelStatus::kReady) {
      entry = OrderedJson{{"status", health_of(*model)}};
    }
  }
  const int status = failed ? 500 : pending && allow_multi_status ? 207 : 200;
  return {status, server_json(body)};
}

}  // namespace tensormill
