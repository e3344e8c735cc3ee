#include "engine/loop.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace tensormill {
namespace {

constexpr const char* kShuttingDown = "shutting down";

SchedulerOptions scheduler_options(const EngineOptions& options, const ModelInfo& model,
                                   int32_t blocks) {
  SchedulerOptions result;
  result.max_sequences = options.max_sequences;
  // No sequence outgrows the cache, whatever max_tokens says.
  result.max_tokens =
      static_cast<int32_t>(std::min<int64_t>(options.max_tokens, int64_t{blocks} * kBlockTokens));
  result.token_budget = static_cast<int32_t>(std::min<int64_t>(
      options.step_token_budget, int64_t{options.max_sequences} * result.max_tokens));
  result.rules = model.rules;
  result.prefix_sharing = options.prefix_sharing;
  result.dynamic_rope_from = model.dynamic_rope_from;
  return result;
}

// Computes a new token of a sequence that has put out some, nothing else but what isn't cached.
bool decodes(const StepItem& item, bool recomputes) {
  const bool one = recomputes || item.count == 1;
  return one && item.samples && item.first + item.count > item.sequence->prompt;
}

}  // namespace

EngineLoop::EngineLoop(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer,
                       const EngineOptions& options, int32_t blocks)
    : runner_(std::move(runner)),
      tokenizer_(tokenizer),
      options_(options),
      pool_(blocks),
      scheduler_(pool_, scheduler_options(options, runner_->info(), blocks)),
      texts_(tokenizer) {
  StepLimits limits;
  limits.rows = scheduler_.row_limit();
  limits.sequences = limits.logit_rows = options.max_sequences;
  limits.max_keys = scheduler_options(options, runner_->info(), blocks).max_tokens;
  runner_->prepare(blocks, limits);
  builder_ = std::make_unique<BatchBuilder>(limits);
  const int threads = options.team ? std::min(options.team->size(), options.max_sequences) : 1;
  for (int i = 0; i < threads; ++i) samplers_.emplace_back(runner_->info().vocabulary);
  rows_.reserve(static_cast<size_t>(options.max_sequences));
  publish_stats();
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
  EngineStats stats;
  stats.running = published_.running;
  stats.waiting = pending_ + published_.preempted;
  stats.blocks_total = pool_.total();
  stats.blocks_free = published_.blocks_free;
  stats.steps = published_.steps;
  stats.decode_steps = published_.decode_steps;
  stats.decode_tokens = published_.decode_tokens;
  stats.prefill_tokens = published_.prefill_tokens;
  stats.requests = published_.requests;
  stats.finished = published_.finished;
  stats.cancelled = published_.cancelled;
  stats.preemptions = published_.preemptions;
  stats.shared_prefix_tokens = published_.shared_prefix_tokens;
  return stats;
}

void EngineLoop::run() {
  while (!stopping_) {
    if (!mailbox_.empty()) read_mail();
    if (draining_) obey_drain();
    if (live_.empty()) {
      mailbox_.wait();
    } else {
      step();
    }
  }
  read_mail();
  while (!live_.empty()) end(*live_.back(), FinishReason::kCancelled, "");
  deliver();
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

void EngineLoop::step() {
  const std::span<const StepItem> items = scheduler_.plan();
  for (const StepItem& item : items) {
    auto& request = static_cast<ActiveRequest&>(*item.sequence);
    if (!std::exchange(request.counted_waiting, false)) continue;
    pending_.fetch_sub(1);
    request.request.sink->admitted(request.id);
  }
  try {
    if (items.empty()) throw Error(ErrorKind::kInternal, "no sequence can be computed");
    sample(items, runner_->step(builder_->build(items)));
  } catch (const std::exception& error) {
    fail_step(items, error.what());
    deliver();
    return;
  }
  count_step(items);
  scheduler_.complete();
  append_tokens();
  deliver();
}

// Statistics first: who has seen a request's last event finds it counted.
void EngineLoop::deliver() {
  publish_stats();
  events_.deliver();
  if (ended_ == 0) return;
  if (outstanding_.fetch_sub(ended_) == ended_ && draining_) {
    const std::lock_guard lock(drained_mutex_);
    drained_.notify_all();
  }
  ended_ = 0;
}

void EngineLoop::sample(std::span<const StepItem> items, const float* logits) {
  rows_.clear();
  for (const StepItem& item : items) {
    if (!item.samples) continue;
    rows_.push_back({static_cast<ActiveRequest*>(item.sequence), logits});
    logits += runner_->info().vocabulary;
  }
  if (rows_.size() < 2 || samplers_.size() < 2) {
    sample_range(0, rows_.size(), samplers_.front());
    return;
  }
  options_.team->run(
      [](void* context, int thread) {
        auto& self = *static_cast<EngineLoop*>(context);
        const size_t part = static_cast<size_t>(thread), parts = self.samplers_.size();
        if (part >= parts) return;
        self.sample_range(self.rows_.size() * part / parts, self.rows_.size() * (part + 1) / parts,
                          self.samplers_[part]);
      },
      this);
}

void EngineLoop::sample_range(size_t begin, size_t end, Sampler& sampler) {
  for (size_t i = begin; i < end; ++i) {
    ActiveRequest& request = *rows_[i].request;
    SamplerRow row;
    row.params = &request.request.sampling;
    row.logits = {rows_[i].logits, static_cast<size_t>(runner_->info().vocabulary)};
    row.tokens = request.tokens;
    row.prompt_tokens = static_cast<size_t>(request.prompt);
    if (request.generated() < request.request.min_new_tokens) row.banned = request.request.eos_ids;
    row.top_log_probs = request.request.top_log_probs;
    request.sampled = sampler.sample(row, request.top);
  }
}

void EngineLoop::append_tokens() {
  for (const Row& row : rows_) {
    ActiveRequest& request = *row.request;
    if (request.sampled.status == SampleStatus::kNotFinite) {
      end(request, FinishReason::kError, "the model's logits are not finite numbers");
      continue;
    }
    if (request.sampled.status == SampleStatus::kNothingLeft) {
      end(request, FinishReason::kError, "every token is forbidden by the request's parameters");
      continue;
    }
    try {
      TokenEvent event = append_token(request, tokenizer_, texts_);
      const bool ends = event.finish != FinishReason::kNone;
      events_.add(request.request.sink, std::move(event));
      if (!ends) continue;
      ++counted_.finished;
      retire(request);
    } catch (const std::exception& error) {  // of this request's text: the others go on
      end(request, FinishReason::kError, error.what());
    }
  }
}

// What a step that failed left in the cache is not published, and goes with its requests.
void EngineLoop::fail_step(std::span<const StepItem> items, const char* what) {
  spdlog::error("a step failed: {}", what);
  if (items.empty()) {
    while (!live_.empty()) end(*live_.back(), FinishReason::kError, what);
    return;
  }
  for (const StepItem& item : items) {
    end(static_cast<ActiveRequest&>(*item.sequence), FinishReason::kError, what);
  }
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
  if (request.counted_waiting) pending_.fetch_sub(1);
  const size_t slot = request.slot;
  std::swap(live_[slot], live_.back());
  live_[slot]->slot = slot;
  live_.pop_back();
  ++ended_;
}

void EngineLoop::count_step(std::span<const StepItem> items) {
  ++counted_.steps;
  int64_t decoding = 0;
  for (const StepItem& item : items) {
    if (decodes(item, runner_->info().rules.recomputes)) {
      ++decoding;
    } else {
      counted_.prefill_tokens += item.count;
    }
  }
  counted_.decode_tokens += decoding;
  if (decoding > 0) ++counted_.decode_steps;
}

void EngineLoop::publish_stats() {
  published_.running = static_cast<int32_t>(scheduler_.running().size());
  published_.blocks_free = pool_.free();
  const auto& waiting = scheduler_.waiting();  // the preempted ones stand in front
  const auto fresh = std::find_if(waiting.begin(), waiting.end(),
                                  [](const Sequence* sequence) { return !sequence->started; });
  published_.preempted = static_cast<int32_t>(fresh - waiting.begin());
  published_.steps = counted_.steps;
  published_.decode_steps = counted_.decode_steps;
  published_.decode_tokens = counted_.decode_tokens;
  published_.prefill_tokens = counted_.prefill_tokens;
  published_.requests = counted_.requests;
  published_.finished = counted_.finished;
  published_.cancelled = counted_.cancelled;
  published_.preemptions = scheduler_.preemptions();
  published_.shared_prefix_tokens = scheduler_.shared_tokens();
}

}  // namespace tensormill
