#include "cli/bench_trace.h"

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>
#include <utility>

#include "base/error.h"

namespace tensormill {
namespace {

class CountingSink : public EventSink {
 public:
  void deliver(std::span<TokenEvent> events) override {
    const std::lock_guard lock(mutex_);
    for (const TokenEvent& event : events) {
      if (event.token >= 0) ++tokens_;
      if (event.finish == FinishReason::kNone) continue;
      ++ended_;
      if (!event.error.empty()) error_ = event.error;
    }
    changed_.notify_all();
  }

  int64_t wait(size_t requests) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= requests; });
    if (!error_.empty()) throw Error(ErrorKind::kInternal, error_);
    return tokens_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t ended_ = 0;
  int64_t tokens_ = 0;
  std::string error_;
};

}  // namespace

std::vector<TraceItem> read_trace(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw_error(ErrorKind::kNotFound, "{}: there is no such file", file);
  std::vector<TraceItem> trace;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    std::istringstream words(line);
    TraceItem item{};
    constexpr int32_t kMost = 1 << 20;  // as of --prompt-tokens
    if (!(words >> item.prompt >> item.output) || item.prompt < 1 || item.output < 1 ||
        item.prompt > kMost || item.output > kMost) {
      throw_error(ErrorKind::kBadRequest, "{}:{}: expected two numbers from 1 to {}: PROMPT OUTPUT",
                  file, number, kMost);
    }
    trace.push_back(item);
  }
  if (trace.empty()) throw_error(ErrorKind::kBadRequest, "{}: holds no request", file);
  return trace;
}

OrderedJson run_trace(Engine& engine, int32_t vocabulary, const std::vector<TraceItem>& trace) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int32_t> any(0, vocabulary - 1);
  CountingSink sink;
  std::vector<GenerationRequest> requests(trace.size());
  int64_t prompt_tokens = 0;
  for (size_t i = 0; i < trace.size(); ++i) {
    requests[i].prompt.resize(static_cast<size_t>(trace[i].prompt));
    for (int32_t& token : requests[i].prompt) token = any(random);
    requests[i].max_new_tokens = trace[i].output;
    requests[i].ignore_eos = true;
    requests[i].log_probs = false;
    requests[i].sink = &sink;
    prompt_tokens += trace[i].prompt;
  }
  const auto start = std::chrono::steady_clock::now();
  for (GenerationRequest& request : requests) engine.submit(std::move(request));
  const int64_t tokens = sink.wait(trace.size());
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {{"requests", trace.size()},
          {"prompt_tokens", prompt_tokens},
          {"output_tokens", tokens},
          {"seconds", seconds},
          {"output_tokens_per_second", static_cast<double>(tokens) / seconds},
          {"mean_decode_batch", engine.stats().mean_decode_batch()}};
}

}  // namespace tensormill
