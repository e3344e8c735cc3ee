#include "engine/engine.h"

#include <atomic>
#include <exception>
#include <thread>
#include <utility>

#include "engine/admission.h"
#include "engine/limits.h"
#include "engine/loop.h"
#include "engine/memory_plan.h"
#include "engine/runner.h"

namespace tensormill {

struct Engine::Impl {
  Impl(std::unique_ptr<Runner> runner, const Tokenizer& text, const EngineOptions& asked)
      : tokenizer(text), options(checked(asked, runner->info())) {
    const ModelInfo& model = runner->info();
    const int32_t least = least_blocks(options, model.cache_bytes_per_token);
    runner->prepare(step_limits(scheduler_options(options, model, least)), options);
    const CachePlan plan = plan_cache(options, model.cache_bytes_per_token, runner->memory());
    options.cache_bytes = plan.bytes;
    blocks = plan.blocks;
    runner->make_cache(blocks);
    loop = std::make_unique<EngineLoop>(std::move(runner), tokenizer, options, blocks);
    thread = std::thread([this] { loop->run(); });
  }

  ~Impl() {
    loop->stop();
    thread.join();
  }

  const Tokenizer& tokenizer;
  EngineOptions options;
  int32_t blocks = 0;
  std::atomic<uint64_t> next_id = 1;
  std::unique_ptr<EngineLoop> loop;
  std::thread thread;
};

Engine::Engine(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer,
               const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(runner), tokenizer, options)) {}

Engine::~Engine() = default;

uint64_t Engine::submit(GenerationRequest request) {
  request = checked(std::move(request), impl_->loop->model(), impl_->options, impl_->blocks);
  const TokenPlaces places = find_places(impl_->loop->model().blanks, request.prompt);
  const uint64_t id = impl_->next_id.fetch_add(1);
  auto active = std::make_unique<ActiveRequest>(id, std::move(request), impl_->tokenizer);
  active->places = places;
  impl_->loop->submit(std::move(active));
  return id;
}

void Engine::cancel(uint64_t request) {
  impl_->loop->cancel(request);
}

void Engine::drain(std::chrono::steady_clock::time_point deadline) {
  impl_->loop->drain(deadline);
}

EngineStats Engine::stats() const {
  return impl_->loop->stats();
}

const EngineOptions& Engine::options() const {
  return impl_->options;
}

}  // namespace tensormill
