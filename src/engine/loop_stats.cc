#include "engine/loop_stats.h"

#include <algorithm>

namespace tensormill {

void LoopStats::publish(const EngineStats& counted, const Scheduler& scheduler,
                        const BlockPool& pool) {
  running_ = static_cast<int32_t>(scheduler.running().size());
  blocks_free_ = pool.free();
  const auto& waiting = scheduler.waiting();  // the preempted ones stand in front
  const auto fresh = std::find_if(waiting.begin(), waiting.end(),
                                  [](const Sequence* sequence) { return !sequence->started; });
  preempted_ = static_cast<int32_t>(fresh - waiting.begin());
  steps_ = counted.steps;
  decode_steps_ = counted.decode_steps;
  decode_tokens_ = counted.decode_tokens;
  prefill_tokens_ = counted.prefill_tokens;
  requests_ = counted.requests;
  finished_ = counted.finished;
  cancelled_ = counted.cancelled;
  preemptions_ = scheduler.preemptions();
  shared_prefix_tokens_ = scheduler.shared_tokens();
  failed_steps_ = counted.failed_steps;
  lost_ = counted.lost;
}

EngineStats LoopStats::read() const {
  EngineStats stats;
  stats.running = running_;
  stats.waiting = preempted_;
  stats.blocks_free = blocks_free_;
  stats.steps = steps_;
  stats.decode_steps = decode_steps_;
  stats.decode_tokens = decode_tokens_;
  stats.prefill_tokens = prefill_tokens_;
  stats.requests = requests_;
  stats.finished = finished_;
  stats.cancelled = cancelled_;
  stats.preemptions = preemptions_;
  stats.shared_prefix_tokens = shared_prefix_tokens_;
  stats.failed_steps = failed_steps_;
  stats.lost = lost_;
  return stats;
}

}  // namespace tensormill
