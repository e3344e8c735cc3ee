#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/backend.h"

namespace tensormill {

enum class ModelStatus : uint8_t { kPending, kReady, kFailed };

// One version of one model. Members without a note belong to the registry's mutex.
struct ServedModel {
  ModelConfig config;  // constant
  int id = 0;          // constant
  std::atomic<ModelStatus> status{ModelStatus::kPending};
  std::unique_ptr<InferenceBackend> backend;      // set before status becomes kReady, then constant
  std::chrono::system_clock::time_point started;  // as backend
  std::atomic<int> min_workers{1}, max_workers{1};
  std::map<std::string, std::string> adapters;  // name -> source

  // When the engine last took a request from its queue.
  std::atomic<std::chrono::steady_clock::time_point> last_admission{};

  bool has_workers() const { return max_workers > 0; }
};
using ModelHandle = std::shared_ptr<ServedModel>;

// The models by name and version. Thread-safe.
class ModelRegistry {
 public:
  // Takes the name; status kPending. Errors: kConflict "Workflow NAME is already registered."
  ModelHandle add(ModelConfig config);
  // Loads it on this thread; the status becomes kReady or, and the error goes on, kFailed.
  void load(const ModelHandle& model, const BackendFactory& factory);

  // Without a version, the versions take turns. Null: no such model.
  ModelHandle find(std::string_view name, std::string_view version);
  // All versions of a name, or the one asked for; sorted.
  std::vector<ModelHandle> versions(std::string_view name, std::string_view version = {}) const;
  std::vector<ModelHandle> all() const;  // sorted by name and version
  // The one model loaded at startup, null when there are none or several.
  ModelHandle only_startup_model() const;
  ModelHandle only_model();  // any version of the one registered name

  // Takes models out; calls that run keep them alive.
  std::vector<ModelHandle> remove(std::string_view name, std::string_view version);
  void remove(const ModelHandle& model);

  // False: the name is taken (add) or unknown (remove).
  bool add_adapter(const ModelHandle& model, const std::string& name, const std::string& source);
  bool remove_adapter(const ModelHandle& model, const std::string& name);
  std::map<std::string, std::string> adapters(const ModelHandle& model) const;

 private:
  struct Versions {
    std::map<std::string, ModelHandle, std::less<>> by_version;
    size_t next = 0;  // round robin
  };
  mutable std::mutex mutex_;
  std::map<std::string, Versions, std::less<>> models_;
  int next_id_ = 1;
};

}  // namespace tensormill
