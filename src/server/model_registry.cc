#include "server/model_registry.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

namespace tensormill {
namespace {

int worker_count(const Settings& settings, std::string_view key, int fallback) {
  return settings.is_set(key) ? static_cast<int>(settings.integer(key)) : fallback;
}

// The folders in adapters/ of the model's folder are known by their names, as in the original.
std::map<std::string, std::string> adapters_beside(const ModelConfig& config) {
  std::map<std::string, std::string> found;
  if (config.model_folder.empty()) return found;  // comes from elsewhere
  std::error_code none;
  for (const auto& entry :
       std::filesystem::directory_iterator(config.model_folder / "adapters", none)) {
    if (entry.is_directory(none)) found[entry.path().filename().string()] = entry.path().string();
  }
  if (!found.empty()) {
    spdlog::warn("{}: adapters are known by name only; all requests get the model as it was loaded",
                 (config.model_folder / "adapters").string());
  }
  return found;
}

}  // namespace

ModelHandle ModelRegistry::add(ModelConfig config) {
  const std::lock_guard lock(mutex_);
  auto& versions = models_[config.name].by_version;
  if (versions.contains(config.version)) {
    throw_error(ErrorKind::kConflict, "Workflow {} is already registered.", config.name);
  }
  auto model = std::make_shared<ServedModel>();
  model->config = std::move(config);
  model->id = next_id_++;
  model->adapters = adapters_beside(model->config);
  // One copy of the weights serves any number of workers; the counts are kept for their readers.
  const Settings& settings = model->config.settings;
  model->min_workers = worker_count(settings, "minWorkers", 1);
  model->max_workers = std::max(worker_count(settings, "maxWorkers", 1), model->min_workers.load());
  versions[model->config.version] = model;
  return model;
}

void ModelRegistry::load(const ModelHandle& model, const BackendFactory& factory) {
  try {
    model->backend = factory(model->config);
    model->started = std::chrono::system_clock::now();
    model->status = ModelStatus::kReady;
  } catch (...) {
    model->status = ModelStatus::kFailed;
    throw;
  }
}

ModelHandle ModelRegistry::find(std::string_view name, std::string_view version) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(name);
  if (found == models_.end()) return nullptr;
  auto& versions = found->second.by_version;
  if (version.empty()) {
    auto next = versions.begin();
    std::advance(next, found->second.next++ % versions.size());
    return next->second;
  }
  const auto exact = versions.find(version);
  return exact == versions.end() ? nullptr : exact->second;
}

std::vector<ModelHandle> ModelRegistry::versions(std::string_view name,
                                                 std::string_view version) const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelHandle> out;
  const auto found = models_.find(name);
  if (found == models_.end()) return out;
  for (const auto& [key, model] : found->second.by_version) {
    if (version.empty() || key == version) out.push_back(model);
  }
  return out;
}

std::vector<ModelHandle> ModelRegistry::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelHandle> out;
  for (const auto& [name, versions] : models_) {
    for (const auto& [version, model] : versions.by_version) out.push_back(model);
  }
  return out;
}

ModelHandle ModelRegistry::only_startup_model() const {
  ModelHandle only;
  for (const ModelHandle& model : all()) {
    if (!model->config.loaded_at_startup) continue;
    if (only) return nullptr;
    only = model;
  }
  return only;
}

ModelHandle ModelRegistry::only_model() {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    if (models_.size() != 1) return nullptr;
    name = models_.begin()->first;
  }
  return find(name, "");
}

std::vector<ModelHandle> ModelRegistry::remove(std::string_view name, std::string_view version) {
  std::vector<ModelHandle> removed = versions(name, version);
  for (const ModelHandle& model : removed) remove(model);
  return removed;
}

void ModelRegistry::remove(const ModelHandle& model) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model->config.name);
  if (found == models_.end()) return;
  auto& versions = found->second.by_version;
  const auto same = versions.find(model->config.version);
  if (same != versions.end() && same->second == model) versions.erase(same);
  if (versions.empty()) models_.erase(found);
}

bool ModelRegistry::add_adapter(const ModelHandle& model, const std::string& name,
                                const std::string& source) {
  const std::lock_guard lock(mutex_);
  return model->adapters.emplace(name, source).second;
}

bool ModelRegistry::remove_adapter(const ModelHandle& model, const std::string& name) {
  const std::lock_guard lock(mutex_);
  return model->adapters.erase(name) > 0;
}

std::map<std::string, std::string> ModelRegistry::adapters(const ModelHandle& model) const {
  const std::lock_guard lock(mutex_);
  return model->adapters;
}

}  // namespace tensormill
