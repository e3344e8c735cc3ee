#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/active_request.h"
#include "engine/batch_builder.h"
#include "engine/block_pool.h"
#include "engine/engine.h"
#include "engine/mailbox.h"
#include "engine/output.h"
#include "engine/runner.h"
#include "engine/scheduler.h"
#include "sampling/sampler.h"

namespace tensormill {

// What the engine's thread owns and does: mail, plan, forward, sample, append, deliver.
class EngineLoop {
 public:
  // options: checked, with cache_bytes filled in for `blocks`.
  EngineLoop(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer,
             const EngineOptions& options, int32_t blocks);

  // Until stop(); then everything left is cancelled. Called on the engine's thread.
  void run();

  // The rest may be called from any thread.
  void submit(std::unique_ptr<ActiveRequest> request);  // see Engine::submit
  void cancel(uint64_t request) { mailbox_.cancel(request); }
  void drain(std::chrono::steady_clock::time_point deadline);
  void stop();
  EngineStats stats() const;
  const ModelInfo& model() const { return runner_->info(); }

 private:
  struct Row {
    ActiveRequest* request;
    const float* logits;  // [vocabulary]
  };
  // EngineStats as other threads read it.
  struct Published {
    std::atomic<int32_t> running = 0, preempted = 0, blocks_free = 0;
    std::atomic<int64_t> steps = 0, decode_steps = 0, decode_tokens = 0, prefill_tokens = 0;
    std::atomic<int64_t> requests = 0, finished = 0, cancelled = 0, preemptions = 0;
    std::atomic<int64_t> shared_prefix_tokens = 0;
  };

  void read_mail();
  void obey_drain();
  void step();
  void sample(std::span<const StepItem> items, const float* logits);
  void sample_range(size_t begin, size_t end, Sampler& sampler);
  void append_tokens();
  void end(ActiveRequest& request, FinishReason reason, const char* error);
  void retire(ActiveRequest& request);
  void fail_step(std::span<const StepItem> items, const char* what);
  void count_step(std::span<const StepItem> items);
  void deliver();
  void publish_stats();

  std::unique_ptr<Runner> runner_;
  const Tokenizer& tokenizer_;
  EngineOptions options_;
  BlockPool pool_;
  Scheduler scheduler_;
  std::unique_ptr<BatchBuilder> builder_;
  std::vector<Sampler> samplers_;  // one for each thread of the team that samples
  std::vector<Row> rows_;
  std::vector<std::unique_ptr<ActiveRequest>> live_;
  TokenTexts texts_;
  EventBatch events_;
  Mailbox mailbox_;
  Mailbox::Letters letters_;

  // Shared with other threads.
  std::atomic<int32_t> outstanding_ = 0;  // submitted and not ended
  std::atomic<int32_t> pending_ = 0;      // of those: never admitted
  std::atomic<bool> draining_ = false, stopping_ = false;
  std::atomic<std::chrono::steady_clock::time_point> deadline_{};
  std::mutex drained_mutex_;
  std::condition_variable drained_;

  EngineStats counted_;  // the thread's own
  int32_t ended_ = 0;    // requests whose last event is being delivered
  Published published_;
};

}  // namespace tensormill
