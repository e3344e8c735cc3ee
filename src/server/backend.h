#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "config/configuration.h"
#include "server/dialect.h"
#include "tasks/text_generation.h"

namespace tensormill {

// A loaded model that takes requests. Thread-safe.
class InferenceBackend {
 public:
  virtual ~InferenceBackend() = default;

  // What a dialect needs; `name` and `settings` are the caller's.
  virtual DialectContext context(std::string_view name, const Settings& settings) const = 0;
  // As submit_text.
  virtual SubmittedText submit(TextRequest request) = 0;
  virtual void cancel(uint64_t request) = 0;
  // As Engine::drain.
  virtual void drain(std::chrono::steady_clock::time_point deadline) = 0;
  virtual EngineStats stats() const = 0;
  virtual int gpu() const { return -1; }  // the GPU that it runs on; -1: the CPU
};

// Loads what a configuration names; throws Error.
using BackendFactory = std::function<std::unique_ptr<InferenceBackend>(const ModelConfig&)>;

// The real one: model folder, tokenizer, chat template and engine.
std::unique_ptr<InferenceBackend> load_engine_backend(const ModelConfig& config);

}  // namespace tensormill
