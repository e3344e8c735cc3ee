#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/active_request.h"
#include "engine/block_pool.h"
#include "engine/engine.h"
#include "engine/flight.h"
#include "engine/host_sampler.h"
#include "engine/loop_stats.h"
#include "engine/mailbox.h"
#include "engine/output.h"
#include "engine/runner.h"
#include "engine/scheduler.h"
#include "engine/step_pace.h"

namespace tensormill {

// What the engine's thread owns and does: mail, plan, launch, collect, append, deliver. Where the
// runner chooses tokens, the next step is launched before the last one's results are collected:
// what that one tells (a stop, an end of text) shows one step late, and the surplus token is
// dropped.
class EngineLoop {
 public:
  // options: checked, with cache_bytes filled in for `blocks`. The runner is ready to run.
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
  void read_mail();
  void obey_drain();
  void end(ActiveRequest& request, FinishReason reason, const char* error);
  void retire(ActiveRequest& request);
  void deliver();

  // loop_step.cc
  void step();
  bool launch();
  void admit(std::span<const StepItem> items);
  void write(Flight& flight);
  bool chooses_itself(ActiveRequest& request);
  void collect();
  void choose(Flight& flight);
  void append_tokens(const Flight& flight);
  void fail(const Flight& flight, const char* what);
  void count(const Flight& flight);
  void learn_pace(const Flight& flight);
  void drop_flights();

  std::unique_ptr<Runner> runner_;
  const Tokenizer& tokenizer_;
  EngineOptions options_;
  BlockPool pool_;
  Scheduler scheduler_;
  StepPace pace_;
  PromptCost cost_;
  Flights flights_;
  HostSampler host_sampler_;
  std::optional<ThreadTeam::Hold> hold_;       // while a step is computed on the team's threads
  std::vector<ActiveRequest*> host_choosing_;  // scratch of choose()
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
  LoopStats published_;
};

}  // namespace tensormill
