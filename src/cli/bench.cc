#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "cli/bench_trace.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "tasks/load_model.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  CommonOptions common;
  std::string model, trace;
  std::vector<int32_t> concurrency = {1, 8, 64};
  int32_t prompt_tokens = 128, new_tokens = 128, repeat = 3, step_tokens = 512;
  bool random_weights = false, json = false;
};

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// The value below which `share` of the values lie.
double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
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
    changed_.notify_all();
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

Figures run_once(const BenchOptions& options, Engine& engine, int32_t vocabulary,
                 int32_t concurrency, std::mt19937& random) {
  std::uniform_int_distribution<int32_t> any(0, vocabulary - 1);
  StepSink sink;
  std::vector<GenerationRequest> requests(static_cast<size_t>(concurrency));
  for (GenerationRequest& request : requests) {
    request.prompt.resize(static_cast<size_t>(options.prompt_tokens));
    for (int32_t& token : request.prompt) token = any(random);
    request.max_new_tokens = options.new_tokens;
    request.ignore_eos = true;
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
      static_cast<double>(int64_t{concurrency} * options.prompt_tokens) / figures.first_token;
  for (; i < steps.size(); ++i) {
    decoded += steps[i].tokens;
    if (ended == 0) figures.steps.push_back(seconds(steps[i].time - steps[i - 1].time));
    ended += steps[i].ended;
  }
  const double spent = seconds(steps.back().time - filled);
  if (spent > 0) figures.decode_rate = decoded / spent;
  return figures;
}

OrderedJson measure(const BenchOptions& options, Engine& engine, int32_t vocabulary,
                    int32_t concurrency) {
  std::mt19937 random(42);
  std::vector<double> prefill, decode, first, steps;
  for (int32_t i = 0; i < options.repeat + 1; ++i) {
    const Figures figures = run_once(options, engine, vocabulary, concurrency, random);
    if (i == 0) continue;  // warms up
    prefill.push_back(figures.prefill_rate);
    decode.push_back(figures.decode_rate);
    first.push_back(figures.first_token);
    steps.insert(steps.end(), figures.steps.begin(), figures.steps.end());
  }
  return {
      {"concurrency", concurrency},
      {"prefill_tokens_per_second", quantile(prefill, 0.5)},
      {"decode_tokens_per_second", quantile(decode, 0.5)},
      {"first_token_seconds", quantile(first, 0.5)},
      {"step_ms_p50", quantile(steps, 0.5) * 1e3},
      {"step_ms_p99", quantile(steps, 0.99) * 1e3},
  };
}

// "VmHWM" of this process, in MiB; 0 where the system doesn't say.
double peak_mib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    double kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib / 1024;
  }
  return 0;
}

void print_table(const OrderedJson& result) {
  constexpr double kMib = 1 << 20;
  fmt::print("{}: weights {:.0f} MiB, cache {:.0f} MiB, loaded in {:.2f} s\n",
             result["model"].get<std::string>(), result["weight_bytes"].get<double>() / kMib,
             result["cache_bytes"].get<double>() / kMib, result["load_seconds"].get<double>());
  fmt::print("{} prompt tokens, {} new tokens, {} ({} threads), medians of {} runs\n",
             result["prompt_tokens"].get<int>(), result["new_tokens"].get<int>(),
             result["device"].get<std::string>(), result["threads"].get<int>(),
             result["repeat"].get<int>());
  fmt::print("{:>11} {:>13} {:>12} {:>13} {:>11} {:>11}\n", "concurrency", "prefill tok/s",
             "decode tok/s", "first token s", "step p50 ms", "step p99 ms");
  for (const OrderedJson& run : result["runs"]) {
    fmt::print("{:>11} {:>13.1f} {:>12.1f} {:>13.3f} {:>11.2f} {:>11.2f}\n",
               run["concurrency"].get<int>(), run["prefill_tokens_per_second"].get<double>(),
               run["decode_tokens_per_second"].get<double>(),
               run["first_token_seconds"].get<double>(), run["step_ms_p50"].get<double>(),
               run["step_ms_p99"].get<double>());
  }
  fmt::print("peak memory {:.0f} MiB\n", result["peak_mib"].get<double>());
}

// The engine alone on the requests of a file, as many at once as the concurrency says.
int run_trace_bench(const BenchOptions& options, LoadTextOptions load) {
  const std::vector<TraceItem> trace = read_trace(options.trace);
  load.engine.max_tokens = 0;
  for (const TraceItem& item : trace) {
    load.engine.max_tokens = std::max(load.engine.max_tokens, item.prompt + item.output);
  }
  load.engine.queue_size = static_cast<int32_t>(trace.size());
  const std::unique_ptr<LoadedText> loaded = load_text(load);
  const OrderedJson result = run_trace(*loaded->engine, loaded->model->info().vocabulary, trace);
  fmt::print("{}\n", result.dump(2));
  return 0;
}

int run_bench(const BenchOptions& options) {
  const Clock::time_point begin = Clock::now();
  const ModelChoices choices = choose_model(
      options.common, options.random_weights,
      {"option.kv_cache_mb", "option.gpu_memory_utilization", "option.enable_cuda_graph"});
  LoadTextOptions load;
  load.folder = options.model;
  load.format = choose_format(choices.common);
  load.quantize = choose_quantization(choices.common);
  load.random_weights = choices.random_weights;
  load.threads = choices.common.threads;
  load.device = choices.common.device;
  load.cpu_level = choices.common.cpu_level;
  load.engine.max_sequences =
      *std::max_element(options.concurrency.begin(), options.concurrency.end());
  load.engine.max_tokens = options.prompt_tokens + options.new_tokens;
  load.engine.step_token_budget = options.step_tokens;
  load.engine.prefix_sharing = false;
  load.engine.cache_bytes = choices.settings.integer("option.kv_cache_mb") << 20;
  load.engine.gpu_memory_utilization = choices.settings.number("option.gpu_memory_utilization");
  load.engine.record_steps = choices.settings.flag("option.enable_cuda_graph");
  if (!options.trace.empty()) return run_trace_bench(options, load);
  const std::unique_ptr<LoadedText> loaded = load_text(load);
  const ModelInfo& info = loaded->model->info();
  OrderedJson result = {
      {"model", options.model},
      {"weight_bytes", info.weight_bytes},
      {"parameters", info.parameters},
      {"cache_bytes", loaded->engine->options().cache_bytes},
      {"device", loaded->place.device->name()},
      {"threads", process_team().size()},
      {"load_seconds", seconds(Clock::now() - begin)},
      {"prompt_tokens", options.prompt_tokens},
      {"new_tokens", options.new_tokens},
      {"repeat", options.repeat},
      {"runs", OrderedJson::array()},
  };
  for (const int32_t concurrency : options.concurrency) {
    result["runs"].push_back(measure(options, *loaded->engine, info.vocabulary, concurrency));
  }
  result["peak_mib"] = peak_mib();
  if (options.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print_table(result);
  }
  return 0;
}

}  // namespace

CommandRunner declare_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  const CLI::Range positive(1, 1 << 20);
  app.add_option("MODEL", options->model, "a Hugging Face model folder")->required();
  app.add_option("--prompt-tokens", options->prompt_tokens, "random tokens of each prompt")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--new-tokens", options->new_tokens, "tokens that each request generates")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--concurrency", options->concurrency, "requests at once, 1,8,64")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--step-tokens", options->step_tokens, "most tokens of a step")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--repeat", options->repeat, "runs after one that warms up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--trace", options->trace,
                 "a file of lines PROMPT OUTPUT: all these requests at once, the largest of "
                 "--concurrency running; prints JSON");
  app.add_flag("--random-weights", options->random_weights, "needs only config.json");
  app.add_flag("--json", options->json, "print one JSON object");
  options->common.declare(app);
  return [options] { return run_bench(*options); };
}

}  // namespace tensormill
