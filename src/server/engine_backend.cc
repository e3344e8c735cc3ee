#include <spdlog/spdlog.h>

#include <fstream>
#include <optional>
#include <string>

#include "artifacts/model_source.h"
#include "base/error.h"
#include "models/weight_format.h"
#include "server/backend.h"
#include "server/server_json.h"
#include "tasks/load_model.h"

namespace tensormill {
namespace {

class EngineBackend : public InferenceBackend {
 public:
  explicit EngineBackend(std::unique_ptr<LoadedText> loaded) : loaded_(std::move(loaded)) {}

  DialectContext context(std::string_view name, const Settings& settings) const override {
    return {name,
            &settings,
            loaded_->tokenizer.get(),
            loaded_->chat_template.get(),
            &loaded_->model->info(),
            loaded_->engine->options().max_tokens,
            &loaded_->generation};
  }
  SubmittedText submit(TextRequest request) override {
    if (!request.generation.rules) request.generation.rules = loaded_->generation.rules;
    return submit_text(*loaded_->engine, *loaded_->tokenizer, std::move(request));
  }
  void cancel(uint64_t request) override { loaded_->engine->cancel(request); }
  void drain(std::chrono::steady_clock::time_point deadline) override {
    loaded_->engine->drain(deadline);
  }
  EngineStats stats() const override { return loaded_->engine->stats(); }
  int gpu() const override { return loaded_->place.gpu ? loaded_->place.index : -1; }

 private:
  std::unique_ptr<LoadedText> loaded_;
};

// What open_place() takes: load_on_devices where it names one, else option.device.
std::string device_of(const Settings& settings) {
  const std::string& device = settings.text("option.device");
  std::string named = settings.text("load_on_devices");
  if (named == "*") return device;
  if (named == "-1") named = "cpu";
  if (named != "cpu") named = "cuda:" + (named.starts_with("gpu") ? named.substr(3) : named);
  if (device != "auto" && gpu_of(device) != gpu_of(named)) {
    throw_error(ErrorKind::kConfigInvalid, "load_on_devices={} contradicts option.device={}",
                settings.text("load_on_devices"), device);
  }
  return named;
}

// Memory of the GPU, or that new pages can come from, in MiB; none where nobody says.
std::optional<int64_t> available_memory_mb(int gpu) {
  if (gpu >= 0) {
    const std::optional<int64_t> bytes = free_on_gpu(gpu);
    return bytes ? std::optional(*bytes >> 20) : std::nullopt;
  }
  std::ifstream file("/proc/meminfo");
  for (std::string key, rest; file >> key && std::getline(file, rest);) {
    if (key == "MemAvailable:") return std::stoll(rest) / 1024;
  }
  return std::nullopt;
}

void guard_memory(const Settings& settings) {
  const int gpu = gpu_of(device_of(settings));
  const auto key = [&](const char* own, const char* plain) {
    return gpu >= 0 && settings.is_set(own) ? own : plain;
  };
  const char* required_key = key("gpu.required_memory_mb", "required_memory_mb");
  const char* reserved_key = key("gpu.reserved_memory_mb", "reserved_memory_mb");
  const int64_t required = settings.integer(required_key);
  if (required == 0 && !settings.is_set(reserved_key)) return;
  const int64_t reserved = settings.integer(reserved_key);
  const auto available = available_memory_mb(gpu);
  if (!available || *available >= required + reserved) return;
  spdlog::error("{} MiB are free, {} is {} and {} {}", *available, required_key, required,
                reserved_key, reserved);
  throw ApiError(507, "WlmOutOfMemoryException", "No enough memory to load the model.");
}

// Fetches the model first, where it isn't a folder of this machine.
std::filesystem::path folder_of(const ModelConfig& config) {
  const Settings& settings = config.settings;
  ModelSource source;
  source.model = config.source.empty() ? config.model_folder.string() : config.source;
  source.revision = settings.text("option.revision");
  source.variant = settings.text("option.variant");
  if (settings.flag("option.random_weights")) source.parts = ModelParts::kWithoutWeights;
  return locate_model(source);
}

LoadTextOptions load_options(const ModelConfig& config) {
  const Settings& settings = config.settings;
  const auto integer = [&](std::string_view key) {
    return static_cast<int32_t>(settings.integer(key));
  };
  LoadTextOptions options;
  options.folder = folder_of(config);
  if (const std::string& dtype = settings.text("option.dtype"); !dtype.empty()) {
    options.format = parse_weight_format(dtype);
  }
  options.variant = settings.text("option.variant");
  options.quantize = parse_quantization(settings.text("option.quantize")).value();
  options.cache_type = parse_cache_type(settings.text("option.kv_cache_dtype"));
  options.random_weights = settings.flag("option.random_weights");
  options.threads = integer("option.threads");
  options.device = device_of(settings);
  options.cpu_level = settings.text("option.cpu_level");
  options.engine.max_sequences = integer("option.max_rolling_batch_size");
  options.engine.max_tokens = integer("option.max_tokens");
  options.engine.step_token_budget = integer("option.max_rolling_batch_prefill_tokens");
  constexpr double kMilli = 1e-3;
  options.engine.inter_token_target = kMilli * integer("option.inter_token_target_ms");
  options.engine.queue_size = integer("job_queue_size");
  options.engine.cache_bytes = settings.integer("option.kv_cache_mb") << 20;
  options.engine.gpu_memory_utilization = settings.number("option.gpu_memory_utilization");
  options.engine.record_steps = settings.flag("option.enable_cuda_graph");
  options.engine.prefix_sharing = settings.flag("option.prefix_sharing");
  return options;
}

}  // namespace

std::unique_ptr<InferenceBackend> load_engine_backend(const ModelConfig& config) {
  guard_memory(config.settings);
  LoadTextOptions options = load_options(config);
  const std::chrono::seconds limit(config.settings.integer("option.model_loading_timeout"));
  const auto began = std::chrono::steady_clock::now();
  options.progress = [began, limit](const char* stage, int64_t done, int64_t total) {
    if (std::chrono::steady_clock::now() - began <= limit) return;
    throw_error(ErrorKind::kTimeout,
                "{}: {} of {} bytes done when option.model_loading_timeout ({} s) ran out", stage,
                done, total, limit.count());
  };
  return std::make_unique<EngineBackend>(load_text(options));
}

}  // namespace tensormill
