#include <fmt/core.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "tasks/load_model.h"
#include "tasks/text_generation.h"
#include "tokenizer/chat_template.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kInterrupted = 130;  // as shells report an end by SIGINT

std::atomic<bool> interrupted = false;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

struct GenerateOptions {
  CommonOptions common;
  std::string model, prompt;
  std::vector<std::string> stops;
  int32_t max_new_tokens = 128, min_new_tokens = 0;
  SamplingParams sampling;
  bool chat = false, json = false, random_weights = false, ignore_eos = false;
  CLI::Option* seed = nullptr;
  std::vector<CLI::Option*> sampling_options;  // any of them given: sample
};

// Gathers the events of the one request, and prints text as it comes.
class TerminalSink : public EventSink {
 public:
  explicit TerminalSink(bool prints) : prints_(prints) {}

  void deliver(std::span<TokenEvent> events) override {
    const std::lock_guard lock(mutex_);
    for (TokenEvent& event : events) {
      if (event.token >= 0) {
        last_ = Clock::now();
        if (tokens.empty()) first_ = last_;
        tokens.push_back(event.token);
        log_probs.push_back(event.log_prob);
      }
      text += event.text;
      if (prints_ && !event.text.empty()) {
        fmt::print("{}", event.text);
        std::fflush(stdout);
      }
      if (event.finish == FinishReason::kNone) continue;
      finish = event.finish;
      error = std::move(event.error);
    }
    changed_.notify_all();
  }

  // False where a signal came before the end.
  bool wait() {
    std::unique_lock lock(mutex_);
    while (finish == FinishReason::kNone) {
      if (interrupted) return false;
      changed_.wait_for(lock, std::chrono::milliseconds(50));
    }
    return true;
  }

  double first_after(Clock::time_point start) const { return seconds(first_ - start); }
  double decode_rate() const {
    const double spent = seconds(last_ - first_);
    return spent > 0 ? static_cast<double>(tokens.size() - 1) / spent : 0;
  }

  std::string text, error;
  std::vector<int32_t> tokens;
  std::vector<float> log_probs;
  FinishReason finish = FinishReason::kNone;

 private:
  bool prints_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Clock::time_point first_{}, last_{};
};

const char* reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength:
      return "length";
    case FinishReason::kEos:
      return "eos_token";
    case FinishReason::kStop:
      return "stop_sequence";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
    case FinishReason::kNone:
      break;
  }
  return "error";
}

// The prompt as the model gets it, in the chat template's words with --chat.
TextRequest text_request(const GenerateOptions& options, const LoadedText& loaded) {
  TextRequest request;
  request.prompt = options.prompt;
  if (options.chat) {
    if (!loaded.chat_template) {
      throw_error(ErrorKind::kBadRequest, "--chat: {} has no chat template", options.model);
    }
    const OrderedJson variables = {
        {"messages", {{{"role", "user"}, {"content", options.prompt}}}},
        {"add_generation_prompt", true},
        {"bos_token", loaded.tokenizer->special("bos_token")},
        {"eos_token", loaded.tokenizer->special("eos_token")},
    };
    request.prompt = loaded.chat_template->render(variables);
    request.add_special = false;
  }
  request.max_new_tokens = options.max_new_tokens;
  GenerationRequest& generation = request.generation;
  generation.sampling = options.sampling;
  for (const CLI::Option* given : options.sampling_options) {
    generation.sampling.sample = generation.sampling.sample || given->count() > 0;
  }
  if (generation.sampling.temperature == 0) generation.sampling.sample = false;
  if (options.seed->count() == 0) generation.sampling.seed = std::random_device()();
  generation.rules = loaded.generation.rules;
  generation.min_new_tokens = options.min_new_tokens;
  generation.stop_strings = options.stops;
  generation.ignore_eos = options.ignore_eos;
  generation.log_probs = options.json;
  return request;
}

int run_generate(const GenerateOptions& options) {
  const Clock::time_point begin = Clock::now();
  const ModelChoices choices = choose_model(
      options.common, options.random_weights,
      {"option.kv_cache_mb", "option.gpu_memory_utilization", "option.enable_cuda_graph",
       "option.max_rolling_batch_prefill_tokens", "option.max_tokens"});
  const Settings& settings = choices.settings;
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
  const std::unique_ptr<LoadedText> loaded = load_text_parts(load);
  TextRequest request = text_request(options, *loaded);
  TerminalSink sink(!options.json);
  request.generation.sink = &sink;
  const uint64_t seed = request.generation.sampling.seed;

  EngineOptions engine;
  engine.max_sequences = 1;
  const ModelInfo& info = loaded->model->info();
  const size_t prompt = loaded->tokenizer->encode(request.prompt, request.add_special).ids.size();
  engine.max_tokens = static_cast<int32_t>(std::clamp<int64_t>(
      static_cast<int64_t>(prompt) + options.max_new_tokens, 2, std::max(2, info.max_positions)));
  if (settings.is_set("option.max_tokens")) {
    engine.max_tokens = static_cast<int32_t>(settings.integer("option.max_tokens"));
  }
  engine.step_token_budget =
      static_cast<int32_t>(settings.integer("option.max_rolling_batch_prefill_tokens"));
  engine.cache_bytes = settings.integer("option.kv_cache_mb") << 20;
  engine.gpu_memory_utilization = settings.number("option.gpu_memory_utilization");
  engine.record_steps = settings.flag("option.enable_cuda_graph");
  start_engine(*loaded, engine);
  const Clock::time_point start = Clock::now();

  std::signal(SIGINT, [](int) { interrupted = true; });
  const SubmittedText submitted =
      submit_text(*loaded->engine, *loaded->tokenizer, std::move(request));
  const bool done = sink.wait();
  loaded->engine.reset();  // cancels what is left, and delivers no more events
  const double total = seconds(Clock::now() - start);
  if (sink.finish == FinishReason::kError) throw Error(ErrorKind::kInternal, sink.error);
  if (options.json) {
    const OrderedJson result = {
        {"text", sink.text},
        {"prompt_tokens", submitted.prompt_tokens},
        {"tokens", sink.tokens},
        {"log_probs", sink.log_probs},
        {"finish_reason", reason_name(sink.finish)},
        {"seed", seed},
        {"timings",
         {{"load_seconds", seconds(start - begin)},
          {"first_token_seconds", sink.tokens.empty() ? 0 : sink.first_after(start)},
          {"total_seconds", total},
          {"decode_tokens_per_second", sink.decode_rate()}}},
    };
    fmt::print("{}\n", result.dump());
  } else {
    fmt::print("\n");
  }
  return done ? 0 : kInterrupted;
}

void declare_sampling(CLI::App& app, GenerateOptions& options) {
  SamplingParams& p = options.sampling;
  app.add_flag("--sample", p.sample, "draw tokens even if no option below is given");
  options.sampling_options = {
      app.add_option("--temperature", p.temperature,
                     "above 1 more random, below 1 less; 0: greedy"),
      app.add_option("--top-k", p.top_k, "draw from the K most likely tokens; 0: off"),
      app.add_option("--top-p", p.top_p, "draw from the likeliest tokens of P together"),
      app.add_option("--typical-p", p.typical_p, "draw from the most typical tokens of P together"),
      app.add_option("--min-p", p.min_p, "draw from tokens of at least P times the likeliest one"),
  };
  options.seed = app.add_option("--seed", p.seed, "the same seed draws the same tokens");
  options.sampling_options.push_back(options.seed);
  app.add_option("--repetition-penalty", p.repetition_penalty,
                 "divides the scores of tokens that occurred");
  app.add_option("--presence-penalty", p.presence_penalty,
                 "lowers the scores of tokens of the output");
  app.add_option("--frequency-penalty", p.frequency_penalty,
                 "the same, for each time that they occurred");
  app.add_option("--no-repeat-ngram-size", p.no_repeat_ngram_size,
                 "no N tokens in a row come twice; 0: off");
}

}  // namespace

CommandRunner declare_generate(CLI::App& app) {
  const auto options = std::make_shared<GenerateOptions>();
  app.add_option("MODEL", options->model,
                 "a folder, an archive, org/name of the hub or s3://bucket/prefix")
      ->required();
  app.add_option("--prompt", options->prompt, "the text to go on from")->required();
  app.add_option("--max-new-tokens", options->max_new_tokens, "at most as many tokens")
      ->capture_default_str();
  app.add_option("--min-new-tokens", options->min_new_tokens, "no end before as many tokens");
  app.add_option("--stop", options->stops, "ends after this text (may be given again)")
      ->take_all()
      ->expected(1);
  app.add_flag("--chat", options->chat, "the prompt is a user's message to a chat model");
  app.add_flag("--json", options->json, "print one JSON object at the end");
  app.add_flag("--ignore-eos", options->ignore_eos, "the end-of-text token doesn't end it");
  app.add_flag("--random-weights", options->random_weights, "needs only config.json");
  declare_sampling(app, *options);
  options->common.declare(app);
  return [options] { return run_generate(*options); };
}

}  // namespace tensormill
