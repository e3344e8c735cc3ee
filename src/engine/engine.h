#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/thread_team.h"
#include "engine/request.h"
#include "models/model.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

struct EngineOptions {
  int32_t max_sequences = 32;       // max_rolling_batch_size
  int32_t max_tokens = 1024;        // prompt and output of one sequence
  int32_t step_token_budget = 512;  // rows of a step: decode tokens first, then prompt chunks
  // Seconds that a decoding sequence should wait for its next token at most: prompts beside it are
  // cut so that a step takes that long (see StepPace). On CPUs; 0: as many as the budget holds.
  double inter_token_target = 0.2;
  int32_t queue_size = 1000;            // job_queue_size: waiting requests
  int64_t cache_bytes = 0;              // 0: from the memory that is left
  double gpu_memory_utilization = 0.9;  // share of a GPU that weights, activations, cache may take
  bool prefix_sharing = true;
  bool record_steps = true;    // enable_cuda_graph: where the device records and replays work
  ThreadTeam* team = nullptr;  // spreads sampling over its threads; null: the engine's own thread
  const LogitKernels* logits = nullptr;  // what the host samples with; null: the best of this CPU
};

class Runner;  // engine/runner.h

// Counters since the start, readable from any thread.
struct EngineStats {
  int32_t running = 0, waiting = 0;
  int32_t blocks_total = 0, blocks_free = 0;
  int64_t steps = 0, decode_steps = 0, decode_tokens = 0, prefill_tokens = 0;
  int64_t requests = 0, finished = 0, cancelled = 0, preemptions = 0, shared_prefix_tokens = 0;
  int32_t failed_steps = 0;  // in a row, the last one included
  bool lost = false;         // every later step will fail too
  double mean_decode_batch() const {
    return decode_steps ? static_cast<double>(decode_tokens) / static_cast<double>(decode_steps)
                        : 0;
  }
};

// One model's rolling batch. A thread of its own owns scheduler and KV cache; submit and cancel may
// be called from any thread.
class Engine {
 public:
  // The model and tokenizer must outlive the engine.
  // kConfigInvalid: an option out of range; kOutOfMemory: no room for one sequence.
  Engine(const Model& model, const Tokenizer& tokenizer, const EngineOptions& options);
  // The same on anything that computes steps.
  Engine(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer, const EngineOptions& options);
  ~Engine();  // fails what is left with kCancelled events

  // Checks the request (kBadRequest: empty prompt, ids out of range, prompt longer than max_tokens,
  // parameters out of range), queues it (kOverloaded when queue_size requests wait, or the engine
  // drains) and returns its id. max_new_tokens is cut to what max_tokens leaves.
  uint64_t submit(GenerationRequest request);
  // Ends the request at the next step with one last kCancelled event. Unknown or finished ids:
  // nothing.
  void cancel(uint64_t request);

  // Refuses new requests, ends the waiting ones with kError "shutting down", lets the running ones
  // finish until the deadline, then cancels them. Returns when none is left.
  void drain(std::chrono::steady_clock::time_point deadline);

  EngineStats stats() const;
  // With cache_bytes filled in and max_tokens cut to what the model's positions allow.
  const EngineOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tensormill
