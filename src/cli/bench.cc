#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "cli/bench_engine.h"
#include "cli/bench_figures.h"
#include "cli/bench_http.h"
#include "cli/bench_trace.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "models/weight_format.h"
#include "tasks/load_model.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  CommonOptions common;
  std::string model, trace, url, served_model;
  std::vector<int32_t> concurrency = {1, 8, 64}, prompt_tokens = {128};
  int32_t new_tokens = 128, repeat = 3, step_tokens = 512;
  int32_t requests = 0, warm_up = -1, shared_prefix = 0;
  double pause = 0;
  bool random_weights = false, grid = false, follow = false, json = false;
};

// Every prompt length with every concurrency; or the rows that results are compared by.
std::vector<BenchRow> rows_of(const BenchOptions& options) {
  std::vector<BenchRow> rows;
  if (options.grid) {
    for (const int32_t prompt : {128, 512, 2048}) rows.push_back({prompt, 1, 1});
    for (const int32_t concurrency : {1, 4, 8, 16, 32}) {
      rows.push_back({128, options.new_tokens, concurrency});
    }
    return rows;
  }
  for (const int32_t prompt : options.prompt_tokens) {
    for (const int32_t concurrency : options.concurrency) {
      rows.push_back({prompt, options.new_tokens, concurrency});
    }
  }
  return rows;
}

// What the largest row keeps, a block more for each request: with a cache of that size the memory
// says what the rows needed.
int64_t cache_tokens(const std::vector<BenchRow>& rows) {
  int64_t most = 0;
  for (const BenchRow& row : rows) {
    const int64_t each = int64_t{row.prompt_tokens} + row.new_tokens + 2 * kBlockTokens;
    most = std::max(most, each * row.concurrency);
  }
  return most;
}

void print_table(const OrderedJson& result) {
  constexpr double kMib = 1 << 20;
  fmt::print("{}: weights {:.0f} MiB, cache {:.0f} MiB, loaded in {:.2f} s\n",
             result["model"].get<std::string>(), result["weight_bytes"].get<double>() / kMib,
             result["cache_bytes"].get<double>() / kMib, result["load_seconds"].get<double>());
  fmt::print("{} ({} threads), medians of {} runs (least - most)\n",
             result["device"].get<std::string>(), result["threads"].get<int>(),
             result["repeat"].get<int>());
  constexpr const char* kLine = "{:>6} {:>5} {:>5} {:>28} {:>28} {:>23} {:>9} {:>9}\n";
  fmt::print(kLine, "prompt", "new", "conc.", "prefill tok/s", "decode tok/s", "first token s",
             "step p50", "p99 ms");
  for (const OrderedJson& run : result["runs"]) {
    fmt::print(kLine, run["prompt_tokens"].get<int>(), run["new_tokens"].get<int>(),
               run["concurrency"].get<int>(), spread_text(run, "prefill_tokens_per_second", 1),
               spread_text(run, "decode_tokens_per_second", 1),
               spread_text(run, "first_token_seconds", 3),
               fmt::format("{:.2f}", run["step_ms_p50"].get<double>()),
               fmt::format("{:.2f}", run["step_ms_p99"].get<double>()));
  }
  fmt::print(
      "peak anonymous memory {:.0f} MiB, {:.3f} of weights and cache; while loading {:.0f}\n",
      result["peak_anonymous_bytes"].get<double>() / kMib,
      result["peak_over_weights_and_cache"].get<double>(),
      result["loading_peak_anonymous_bytes"].get<double>() / kMib);
}

// What the command line says of the model and the engine.
LoadTextOptions load_options(const BenchOptions& options) {
  const ModelChoices choices = choose_model(
      options.common, options.random_weights,
      {"option.kv_cache_mb", "option.gpu_memory_utilization", "option.enable_cuda_graph"});
  LoadTextOptions load;
  load.folder = find_model_folder(options.model, options.common, parts_of(choices));
  load.format = choose_format(choices.common);
  load.variant = choices.common.variant;
  load.quantize = choose_quantization(choices.common);
  load.cache_type = choices.cache_type();
  load.random_weights = choices.random_weights;
  load.threads = choices.common.threads;
  load.device = choices.common.device;
  load.cpu_level = choices.common.cpu_level;
  load.engine.max_sequences =
      *std::max_element(options.concurrency.begin(), options.concurrency.end());
  load.engine.step_token_budget = options.step_tokens;
  load.engine.prefix_sharing = false;
  load.engine.cache_bytes = choices.settings.integer("option.kv_cache_mb") << 20;
  load.engine.gpu_memory_utilization = choices.settings.number("option.gpu_memory_utilization");
  load.engine.record_steps = choices.settings.flag("option.enable_cuda_graph");
  return load;
}

// The engine alone on the requests of a file, as many at once as the concurrency says.
int run_trace_bench(const BenchOptions& options) {
  LoadTextOptions load = load_options(options);
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

// A row for each line of standard input, so that a script can take turns between us and another
// program without loading either again.
int follow(const LoadedText& loaded, const BenchOptions& options, AnonymousPeak& memory) {
  const EngineOptions& limits = loaded.engine->options();
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    BenchRow row{};
    if (!(words >> row.prompt_tokens >> row.new_tokens >> row.concurrency) ||
        std::min({row.prompt_tokens, row.new_tokens, row.concurrency}) < 1 ||
        row.prompt_tokens > limits.max_tokens - row.new_tokens ||
        row.concurrency > limits.max_sequences) {
      throw_error(ErrorKind::kBadRequest,
                  "\"{}\": expected PROMPT NEW CONCURRENCY, at most {} tokens and {} requests",
                  line, limits.max_tokens, limits.max_sequences);
    }
    const OrderedJson result = measure_row(row, {0, options.repeat, options.pause}, *loaded.engine,
                                           loaded.model->info().vocabulary, memory);
    fmt::print("{}\n", result.dump());
    std::fflush(stdout);
  }
  return 0;
}

int run_engine_bench(const BenchOptions& options) {
  const Clock::time_point begin = Clock::now();
  LoadTextOptions load = load_options(options);
  const std::vector<BenchRow> rows = rows_of(options);
  load.engine.max_sequences = load.engine.max_tokens = 0;
  for (const BenchRow& row : rows) {
    load.engine.max_sequences = std::max(load.engine.max_sequences, row.concurrency);
    load.engine.max_tokens = std::max(load.engine.max_tokens, row.prompt_tokens + row.new_tokens);
  }
  // All prompts in one step, so that what follows decodes alone.
  if (options.grid) load.engine.step_token_budget = std::max(options.step_tokens, 32 * 128);
  AnonymousPeak memory;
  memory.watch();
  const std::unique_ptr<LoadedText> loaded = load_text_parts(load);
  memory.look();
  const int64_t loading_peak = memory.bytes();
  if (load.engine.cache_bytes == 0) {
    load.engine.cache_bytes = cache_tokens(rows) * loaded->model->info().cache_bytes_per_token;
  }
  start_engine(*loaded, load.engine);
  memory.rest();
  const ModelInfo& info = loaded->model->info();
  OrderedJson result = {
      {"model", options.model},
      {"weight_bytes", info.weight_bytes},
      {"parameters", info.parameters},
      {"cache_bytes", loaded->engine->options().cache_bytes},
      {"cache_type", cache_type_name(info.cache_type)},
      {"device", loaded->place.device->name()},
      {"threads", process_team().size()},
      {"load_seconds", std::chrono::duration<double>(Clock::now() - begin).count()},
      {"repeat", options.repeat},
      {"runs", OrderedJson::array()},
  };
  if (options.follow) return follow(*loaded, options, memory);
  for (const BenchRow& row : rows) {
    result["runs"].push_back(measure_row(row, {1, options.repeat, options.pause}, *loaded->engine,
                                         info.vocabulary, memory));
  }
  result["loading_peak_anonymous_bytes"] = loading_peak;
  result["peak_anonymous_bytes"] = memory.bytes();
  result["peak_over_weights_and_cache"] =
      static_cast<double>(memory.bytes()) /
      static_cast<double>(info.weight_bytes + loaded->engine->options().cache_bytes);
  if (options.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print_table(result);
  }
  return 0;
}

int run_http_bench(const BenchOptions& options) {
  if (options.prompt_tokens.size() != 1 && options.trace.empty()) {
    throw_error(ErrorKind::kBadRequest, "--url takes one --prompt-tokens, {} were given",
                options.prompt_tokens.size());
  }
  HttpLoad load;
  load.url = options.url;
  load.model = options.model;
  load.served_model = options.served_model;
  load.concurrency = options.concurrency;
  load.prompt_tokens = options.prompt_tokens.front();
  load.new_tokens = options.new_tokens;
  if (!options.trace.empty()) load.trace = read_trace(options.trace);
  load.shared_prefix = options.shared_prefix;
  load.requests = options.requests;
  load.warm_up = options.warm_up;
  load.repeat = options.repeat;
  const OrderedJson result = load_server(load);
  if (options.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print_load(result);
  }
  return 0;
}

int run_bench(const BenchOptions& options) {
  if (!options.url.empty()) return run_http_bench(options);
  return options.trace.empty() ? run_engine_bench(options) : run_trace_bench(options);
}

}  // namespace

CommandRunner declare_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  const CLI::Range positive(1, 1 << 20);
  app.add_option("MODEL", options->model,
                 "a folder, an archive, org/name of the hub or s3://bucket/prefix")
      ->required();
  app.add_option("--prompt-tokens", options->prompt_tokens,
                 "random tokens of each prompt, 128,512: each length with each concurrency")
      ->delimiter(',')
      ->check(positive)
      ->capture_default_str();
  app.add_option("--new-tokens", options->new_tokens, "tokens that each request generates")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--concurrency", options->concurrency, "requests at once, 1,8,64")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_flag("--grid", options->grid,
               "prompts of 128, 512 and 2048 tokens alone, then --new-tokens after 128 at 1, 4, 8, "
               "16 and 32 requests, in place of the lists; all prompts in one step");
  app.add_flag(
      "--follow", options->follow,
      "after loading print \"ready\"; then, for each line PROMPT NEW CONCURRENCY of standard "
      "input, a line of JSON, without warming up; the other options only say how large a "
      "line may get");
  app.add_option("--step-tokens", options->step_tokens, "most tokens of a step")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--repeat", options->repeat, "runs after one that warms up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--pause", options->pause,
                 "seconds before each run: a GPU at the limit of its power slows down in long work")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  app.add_option("--trace", options->trace,
                 "a file of lines PROMPT OUTPUT: all these requests at once, the largest of "
                 "--concurrency running; prints JSON. With --url: the requests of a run");
  CLI::Option* url = app.add_option(
      "--url", options->url,
      "measure a server instead, over as many connections as --concurrency says: "
      "http://host:port[/invocations], or a path that ends in /completions for OpenAI's APIs. "
      "MODEL's tokenizer measures the prompts");
  app.add_option("--requests", options->requests,
                 "with --url: requests of a run (default: the trace's, else 4 a connection, 16 at "
                 "least)")
      ->needs(url)
      ->check(positive);
  app.add_option("--shared-prefix", options->shared_prefix,
                 "with --url: tokens that all prompts begin with, of those that they have")
      ->needs(url)
      ->check(positive);
  app.add_option("--warm-up", options->warm_up,
                 "with --url: requests before the first run (default: one a connection)")
      ->needs(url)
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--served-model", options->served_model,
                 "with --url: the model's name in requests of OpenAI's APIs (default: none)")
      ->needs(url);
  app.add_flag("--random-weights", options->random_weights, "needs only config.json");
  app.add_flag("--json", options->json, "print one JSON object");
  options->common.declare(app);
  return [options] { return run_bench(*options); };
}

}  // namespace tensormill
