#include "cli/bench_engine.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/bench_figures.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// When each step's tokens came; the engine calls once a step.
class StepSink : public EventSink {
 public:
  struct Step {
    Clock::time_point time;
    int32_t tokens = 0, first = 0, ended = 0;  // first: requests' first tokens
  };

  void deliver(std::span<TokenEvent> events) override {
    const std::lock_guard lock(mutex_);
    Step step;
    step.time = Clock::now();
    for (const TokenEvent& event : events) {
      if (event.token >= 0) {
        ++step.tokens;
        if (seen_.insert(event.request).second) ++step.first;
      }
      if (event.finish == FinishReason::kNone) continue;
      ++step.ended;
      if (!event.error.empty()) error_ = event.error;
    }
    ended_ += step.ended;
    steps_.push_back(step);
    if (step.ended > 0) changed_.notify_all();  // who waits takes a core from the next step
  }

  std::vector<Step> wait(int32_t requests) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= requests; });
    if (!error_.empty()) throw Error(ErrorKind::kInternal, error_);
    return steps_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Step> steps_;
  std::unordered_set<uint64_t> seen_;
  int32_t ended_ = 0;
  std::string error_;
};

// Figures of one run of `concurrency` requests that come at once.
struct Figures {
  double prefill_rate = 0, decode_rate = 0;  // tokens a second
  double first_token = 0;                    // seconds until the last request's first token
  std::vector<double> steps;                 // seconds, of steps that decode all requests
};

Figures run_once(const BenchRow& row, Engine& engine, int32_t vocabulary, std::mt19937& random) {
  const int32_t concurrency = row.concurrency;
  std::uniform_int_distribution<int32_t> any(0, vocabulary - 1);
  StepSink sink;
  std::vector<GenerationRequest> requests(static_cast<size_t>(concurrency));
  for (GenerationRequest& request : requests) {
    request.prompt.resize(static_cast<size_t>(row.prompt_tokens));
    for (int32_t& token : request.prompt) token = any(random);
    request.max_new_tokens = row.new_tokens;
    request.ignore_eos = true;
    request.log_probs = false;
    request.sink = &sink;
  }
  const Clock::time_point start = Clock::now();
  for (GenerationRequest& request : requests) engine.submit(std::move(request));
  const std::vector<StepSink::Step> steps = sink.wait(concurrency);

  // Prompts are done when every request has its first token; from then on steps decode alone.
  Figures figures;
  int32_t first = 0, ended = 0, decoded = 0;
  size_t i = 0;
  for (; i < steps.size() && first < concurrency; ++i) {
    first += steps[i].first;
    ended += steps[i].ended;
  }
  const Clock::time_point filled = steps[i - 1].time;
  figures.first_token = seconds(filled - start);
  figures.prefill_rate =
      static_cast<double>(int64_t{concurrency} * row.prompt_tokens) / figures.first_token;
  for (; i < steps.size(); ++i) {
    decoded += steps[i].tokens;
    if (ended == 0) figures.steps.push_back(seconds(steps[i].time - steps[i - 1].time));
    ended += steps[i].ended;
  }
  const double spent = seconds(steps.back().time - filled);
  if (spent > 0) figures.decode_rate = decoded / spent;
  return figures;
}

}  // namespace

OrderedJson measure_row(const BenchRow& row, const BenchRuns& runs, Engine& engine,
                        int32_t vocabulary, AnonymousPeak& memory) {
  std::mt19937 random(42);
  std::vector<double> prefill, decode, first, steps;
  for (int32_t i = 0; i < runs.warm_up + runs.repeat; ++i) {
    if (i < runs.warm_up) memory.watch();
    std::this_thread::sleep_for(std::chrono::duration<double>(runs.pause));
    const Figures figures = run_once(row, engine, vocabulary, random);
    memory.rest();
    memory.look();
    if (i < runs.warm_up) continue;
    prefill.push_back(figures.prefill_rate);
    decode.push_back(figures.decode_rate);
    first.push_back(figures.first_token);
    steps.insert(steps.end(), figures.steps.begin(), figures.steps.end());
  }
  OrderedJson result = {{"prompt_tokens", row.prompt_tokens},
                        {"new_tokens", row.new_tokens},
                        {"concurrency", row.concurrency}};
  add_spread(result, "prefill_tokens_per_second", prefill);
  add_spread(result, "decode_tokens_per_second", decode);
  add_spread(result, "first_token_seconds", first);
  result["step_ms_p50"] = quantile(steps, 0.5) * 1e3;
  result["step_ms_p99"] = quantile(steps, 0.99) * 1e3;
  return result;
}

}  // namespace tensormill
