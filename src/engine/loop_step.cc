#include <chrono>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "engine/choice.h"
#include "engine/loop.h"

namespace tensormill {
namespace {

// Computes a new token of a sequence that has put out some, nothing else but what isn't cached.
bool decodes(const StepItem& item, bool recomputes) {
  const bool one = recomputes || item.count == 1;
  return one && item.samples && item.first + item.count > item.sequence->prompt;
}

}  // namespace

// Launches a step if that can be done now, then collects: the one before it, and all of them where
// nothing could be launched or the next step depends on the results.
void EngineLoop::step() {
  const bool ready = flights_.empty() || flights_.back().open;
  const bool launched = ready && launch();
  if (flights_.size() > 1) collect();
  while (!flights_.empty() && !(launched && flights_.back().open)) collect();
}

// False where there is nothing to launch, for now or at all.
bool EngineLoop::launch() {
  const std::span<const StepItem> items =
      scheduler_.plan(/*may_preempt=*/flights_.empty(), pace_.prompt_work());
  if (items.empty()) {
    if (!flights_.empty()) return false;
    const Error error(ErrorKind::kInternal, "no sequence can be computed");
    spdlog::error("a step failed: {}", error.what());
    while (!live_.empty()) end(*live_.back(), FinishReason::kError, error.what());
    deliver();
    return false;
  }
  admit(items);
  Flight& flight = flights_.push(items);
  if (options_.team != nullptr && !runner_->chooses()) hold_.emplace(*options_.team);
  flight.begin = std::chrono::steady_clock::now();
  try {
    write(flight);
    runner_->launch(flight.host_rows);
    flight.open =
        runner_->chooses() && flight.host_rows.empty() && !runner_->info().rules.recomputes;
  } catch (const std::exception& error) {  // its requests fail when its turn to be collected comes
    flight.error = error.what();
  }
  scheduler_.launched();
  return true;
}

void EngineLoop::admit(std::span<const StepItem> items) {
  for (const StepItem& item : items) {
    auto& request = static_cast<ActiveRequest&>(*item.sequence);
    if (!std::exchange(request.counted_waiting, false)) continue;
    pending_.fetch_sub(1);
    request.request.sink->admitted(request.id);
  }
}

void EngineLoop::write(Flight& flight) {
  for (const StepItem& item : flight.items) {
    if (!item.samples) continue;
    auto& request = static_cast<ActiveRequest&>(*item.sequence);
    if (!chooses_itself(request)) {
      flight.host_rows.push_back(static_cast<int32_t>(flight.choosing.size()));
    }
    flight.choosing.push_back(&request);
  }
  const bool chooses = runner_->chooses();
  const StepDraft draft = runner_->begin(shape_of(flight.items, chooses));
  draft.layout.write(flight.items, draft.message);
  for (size_t row = 0; chooses && row < flight.choosing.size(); ++row) {
    const ActiveRequest& request = *flight.choosing[row];
    const SampleRow choice = request.in_history ? choice_of(request, runner_->info().vocabulary)
                                                : unused_choice(request);
    draft.layout.write_choice(static_cast<int32_t>(row), choice, draft.message);
  }
}

// Whether the runner chooses the request's next token; its tokens then stand in the history.
bool EngineLoop::chooses_itself(ActiveRequest& request) {
  if (!runner_->chooses() || !can_choose(request)) {
    request.in_history = false;
  } else if (!std::exchange(request.in_history, true)) {
    runner_->put_history(request.seat, request.tokens);
  }
  return request.in_history;
}

void EngineLoop::collect() {
  const Flight& flight = flights_.front();
  try {
    if (!flight.error.empty()) throw Error(ErrorKind::kInternal, flight.error);
    choose(flights_.front());
    hold_.reset();
    if (!runner_->chooses()) learn_pace(flight);
    count(flight);
    scheduler_.complete(flight.items);
    append_tokens(flight);
    counted_.failed_steps = 0;
  } catch (const std::exception& error) {
    hold_.reset();
    fail(flight, error.what());
  }
  flights_.pop();
  deliver();
}

// Fills in what the runner and the host choose for the flight's requests.
void EngineLoop::choose(Flight& flight) {
  const StepResults results = runner_->collect();
  for (size_t row = 0; row < results.chosen.size() && row < flight.choosing.size(); ++row) {
    if (flight.choosing[row] != nullptr) take_choice(results.chosen[row], *flight.choosing[row]);
  }
  if (flight.host_rows.empty()) return;
  host_choosing_.clear();
  for (const int32_t row : flight.host_rows) {
    host_choosing_.push_back(flight.choosing[static_cast<size_t>(row)]);
  }
  host_sampler_.sample(host_choosing_, results.logits);
}

void EngineLoop::append_tokens(const Flight& flight) {
  for (ActiveRequest* const choosing : flight.choosing) {
    if (choosing == nullptr) continue;
    ActiveRequest& request = *choosing;
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
void EngineLoop::fail(const Flight& flight, const char* what) {
  spdlog::error("a step failed: {}", what);
  ++counted_.failed_steps;
  counted_.lost = counted_.lost || runner_->lost();
  for (const StepItem& item : flight.items) {
    if (item.sequence == nullptr) continue;
    end(static_cast<ActiveRequest&>(*item.sequence), FinishReason::kError, what);
  }
}

void EngineLoop::count(const Flight& flight) {
  ++counted_.steps;
  int64_t decoding = 0;
  for (const StepItem& item : flight.items) {
    if (item.sequence == nullptr) continue;
    if (decodes(item, runner_->info().rules.recomputes)) {
      ++decoding;
    } else {
      counted_.prefill_tokens += item.count;
    }
  }
  counted_.decode_tokens += decoding;
  if (decoding > 0) ++counted_.decode_steps;
}

// Of a step that was computed at once: what a device does beside other steps takes longer.
void EngineLoop::learn_pace(const Flight& flight) {
  double work = 0;
  bool decoding = false;
  for (const StepItem& item : flight.items) {
    if (decodes(item, runner_->info().rules.recomputes)) {
      decoding = true;
    } else {
      work += cost_.of(item.first, item.count);
    }
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - flight.begin;
  pace_.measured(work, decoding, spent.count());
}

// Before the runner goes: nothing may be under way then.
void EngineLoop::drop_flights() {
  for (; !flights_.empty(); flights_.pop()) {
    if (!flights_.front().error.empty()) continue;
    try {
      runner_->collect();
    } catch (const std::exception& error) {
      spdlog::error("a step failed: {}", error.what());
    }
  }
}

}  // namespace tensormill
