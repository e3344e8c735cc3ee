#pragma once

#include <atomic>
#include <cstdint>

#include "engine/engine.h"
#include "engine/scheduler.h"

namespace tensormill {

// What the engine's thread counts, as other threads read it.
class LoopStats {
 public:
  // From the engine's thread.
  void publish(const EngineStats& counted, const Scheduler& scheduler, const BlockPool& pool);
  // From any thread. `waiting` holds the preempted ones alone; blocks_total is the caller's to add.
  EngineStats read() const;

 private:
  std::atomic<int32_t> running_ = 0, preempted_ = 0, blocks_free_ = 0;
  std::atomic<int64_t> steps_ = 0, decode_steps_ = 0, decode_tokens_ = 0, prefill_tokens_ = 0;
  std::atomic<int64_t> requests_ = 0, finished_ = 0, cancelled_ = 0, preemptions_ = 0;
  std::atomic<int64_t> shared_prefix_tokens_ = 0;
  std::atomic<int32_t> failed_steps_ = 0;
  std::atomic<bool> lost_ = false;
};

}  // namespace tensormill
