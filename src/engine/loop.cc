#include "engine/loop.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "engine/limits.h"

namespace tensormill {
namespace {

constexpr const char* kShuttingDown = "shutting down";

}  // namespace

EngineLoop::EngineLoop(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer,
                       const EngineOptions& options, int32_t blocks)
    : runner_(std::move(runner)),
      tokenizer_(tokenizer),
      options_(options),
      pool_(blocks),
      scheduler_(pool_, scheduler_options(options, runner_->info(), blocks)),
      pace_(runner_->chooses() ? 0 : options.inter_token_target),
      cost_(prompt_cost(runner_->info())),
      flights_(options.max_sequences),
      host_sampler_(runner_->info().vocabulary, options.max_sequences, options.team,
                    options.logits),
      texts_(tokenizer) {
  host_choosing_.reserve(static_cast<size_t>(options.max_sequences));
  published_.publish(counted_, scheduler_, pool_);
}

void EngineLoop::submit(std::unique_ptr<ActiveRequest> request) {
  // Requests that wait only because the thread hasn't looked yet don't count as a full queue.
  const int32_t outstanding = outstanding_.fetch_add(1);
  const bool full = pending_.load() >= options_.queue_size && outstanding >= options_.max_sequences;
  if (draining_ || stopping_ || full) {
    outstanding_.fetch_sub(1);
    if (!full) throw Error(ErrorKind::kOverloaded, kShuttingDown);
    throw_error(ErrorKind::kOverloaded, "the queue is full: {} requests wait (job_queue_size)",
                options_.queue_size);
  }
  pending_.fetch_add(1);
  mailbox_.submit(std::move(request));
}

void EngineLoop::drain(std::chrono::steady_clock::time_point deadline) {
  deadline_ = deadline;
  draining_ = true;
  mailbox_.wake();
  std::unique_lock lock(drained_mutex_);
  drained_.wait(lock, [this] { return outstanding_ == 0; });
}

void EngineLoop::stop() {
  stopping_ = true;
  mailbox_.wake();
}

EngineStats EngineLoop::stats() const {
  EngineStats stats = published_.read();
  stats.waiting += pending_;
  stats.blocks_total = pool_.total();
  return stats;
}

void EngineLoop::run() {
  while (!stopping_) {
    if (!mailbox_.empty()) read_mail();
    if (draining_) obey_drain();
    if (live_.empty() && flights_.empty()) {
      mailbox_.wait();
    } else {
      step();
    }
  }
  read_mail();
  while (!live_.empty()) end(*live_.back(), FinishReason::kCancelled, "");
  deliver();
  drop_flights();
}

void EngineLoop::read_mail() {
  mailbox_.take(letters_);
  for (std::unique_ptr<ActiveRequest>& request : letters_.requests) {
    ++counted_.requests;
    request->slot = live_.size();
    scheduler_.add(request.get());
    live_.push_back(std::move(request));
  }
  for (const uint64_t id : letters_.cancels) {
    const auto found = std::find_if(live_.begin(), live_.end(),
                                    [id](const auto& request) { return request->id == id; });
    if (found != live_.end()) end(**found, FinishReason::kCancelled, "");
  }
  letters_.requests.clear();
  letters_.cancels.clear();
  letters_.wake = false;
  deliver();
}

void EngineLoop::obey_drain() {
  const bool late = std::chrono::steady_clock::now() >= deadline_.load();
  for (size_t i = live_.size(); i-- > 0;) {
    ActiveRequest& request = *live_[i];
    if (!request.started) {
      end(request, FinishReason::kError, kShuttingDown);
    } else if (late) {
      end(request, FinishReason::kCancelled, "");
    }
  }
  deliver();
}

// Statistics first: who has seen a request's last event finds it counted.
void EngineLoop::deliver() {
  published_.publish(counted_, scheduler_, pool_);
  events_.deliver();
  if (ended_ == 0) return;
  if (outstanding_.fetch_sub(ended_) == ended_ && draining_) {
    const std::lock_guard lock(drained_mutex_);
    drained_.notify_all();
  }
  ended_ = 0;
}

void EngineLoop::end(ActiveRequest& request, FinishReason reason, const char* error) {
  TokenEvent event;
  event.request = request.id;
  event.finish = reason;
  event.error = error;
  EventSink* const sink = request.request.sink;
  ++(reason == FinishReason::kCancelled ? counted_.cancelled : counted_.finished);
  retire(request);
  events_.add(sink, std::move(event));
}

// The request is gone after this.
void EngineLoop::retire(ActiveRequest& request) {
  scheduler_.remove(&request);
  flights_.forget(&request);
  if (request.counted_waiting) pending_.fetch_sub(1);
  const size_t slot = request.slot;
  std::swap(live_[slot], live_.back());
  live_[slot]->slot = slot;
  live_.pop_back();
  ++ended_;
}

}  // namespace tensormill
