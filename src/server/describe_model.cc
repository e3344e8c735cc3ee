#include "server/describe_model.h"

#include <algorithm>
#include <ctime>
#include <map>

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

// As describe and ping say it.
const char* word_of(Health health) {
  constexpr const char* kWords[] = {"Healthy", "Unhealthy", "PENDING", "FAILED"};
  return kWords[static_cast<size_t>(health)];
}

}  // namespace

Health health_of(const ServedModel& model) {
  if (model.status == ModelStatus::kPending) return Health::kPending;
  if (model.status == ModelStatus::kFailed) return Health::kFailed;
  const EngineStats stats = model.backend->stats();
  const int64_t most = model.config.settings.integer("retry_threshold");
  if (stats.lost || stats.failed_steps > most) return Health::kFailed;
  return stats.failed_steps > 0 ? Health::kUnhealthy : Health::kHealthy;
}

OrderedJson describe_model(const ServedModel& model) {
  const ModelConfig& config = model.config;
  const Settings& settings = config.settings;
  const bool ready = model.status == ModelStatus::kReady;
  const Health health = health_of(model);
  OrderedJson workers = OrderedJson::array();
  for (int i = 0; health == Health::kHealthy && i < model.min_workers; ++i) {
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
                  {"status", word_of(health)},
                  {"loadedAtStartup", config.loaded_at_startup},
                  {"workerGroups", OrderedJson::array({std::move(group)})}};
  OrderedJson reply{{"workflowName", config.name}};
  if (!config.version.empty()) reply["version"] = config.version;
  reply["models"] = OrderedJson::array({std::move(row)});
  return reply;
}

PingReply ping(const ModelRegistry& models, bool allow_multi_status) {
  // Of several versions the one that is worst off speaks.
  std::map<std::string, Health> by_name;
  Health worst = Health::kHealthy;
  for (const ModelHandle& model : models.all()) {
    const Health health = health_of(*model);
    Health& of_name = by_name[model->config.name];
    of_name = std::max(of_name, health);
    worst = std::max(worst, health);
  }
  OrderedJson body = OrderedJson::object();
  for (const auto& [name, health] : by_name) body[name] = {{"status", word_of(health)}};
  int status = 200;
  if (worst == Health::kFailed) status = 500;
  if (worst == Health::kPending && allow_multi_status) status = 207;
  return {status, server_json(body)};
}

}  // namespace tensormill
