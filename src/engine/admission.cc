#include "engine/admission.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "engine/scheduler.h"
#include "sampling/validate.h"

namespace tensormill {
namespace {

// Far beyond what clients use; they bound the work that a token costs.
constexpr size_t kMaxStopStrings = 64, kMaxStopBytes = 4096;
constexpr int32_t kMaxTopLogProbs = 1000;

template <class T>
void require(bool good, ErrorKind kind, const char* field, T value, const char* expected) {
  if (!good) {
    throw_error(kind, "{}: {} is not allowed, expected {}", field, value, expected);
  }
}

void check_prompt(const GenerationRequest& request, const ModelInfo& model, int32_t max_tokens) {
  const size_t size = request.prompt.size();
  if (size == 0)
    throw_error(ErrorKind::kBadRequest, "the prompt is empty: expected a token or more");
  if (size > static_cast<size_t>(max_tokens)) {
    throw_error(ErrorKind::kBadRequest,
                "Input with size {} exceeds maximum length of {}. Please increase `max_tokens`.",
                size, max_tokens);
  }
  if (size == static_cast<size_t>(max_tokens)) {
    throw_error(ErrorKind::kBadRequest,
                "Input with size {} leaves no room for output in the maximum length of {}. Please "
                "increase `max_tokens`.",
                size, max_tokens);
  }
  for (const int32_t id : request.prompt) {
    if (id < 0 || id >= model.vocabulary) {
      throw_error(ErrorKind::kBadRequest, "token {} is not in the model's vocabulary of {}", id,
                  model.vocabulary);
    }
  }
}

void check_stops(const GenerationRequest& request) {
  require(request.stop_strings.size() <= kMaxStopStrings, ErrorKind::kBadRequest, "stop strings",
          request.stop_strings.size(), "at most 64 of them");
  for (const std::string& stop : request.stop_strings) {
    require(stop.size() <= kMaxStopBytes, ErrorKind::kBadRequest, "length of a stop string",
            stop.size(), "at most 4096 bytes");
  }
}

bool ends_text(const GenerationRequest& request, const std::vector<int32_t>& word) {
  return word.size() == 1 && std::find(request.eos_ids.begin(), request.eos_ids.end(),
                                       word.front()) != request.eos_ids.end();
}

// The end of a text is no bad word, as in transformers.
void check_rules(GenerationRequest& request, const ModelInfo& model) {
  if (!request.rules) return;
  validate(*request.rules, model.vocabulary);
  const auto ends = [&](const std::vector<int32_t>& word) { return ends_text(request, word); };
  if (std::any_of(request.rules->bad_words.begin(), request.rules->bad_words.end(), ends)) {
    auto rules = std::make_shared<TokenRules>(*request.rules);
    std::erase_if(rules->bad_words, ends);
    request.rules = std::move(rules);
  }
  if (request.rules->empty()) request.rules = nullptr;
}

}  // namespace

EngineOptions checked(EngineOptions options, const ModelInfo& model) {
  constexpr auto kKind = ErrorKind::kConfigInvalid;
  constexpr int32_t kMost = 1 << 20;
  require(options.max_sequences >= 1 && options.max_sequences <= 65536, kKind,
          "max_rolling_batch_size", options.max_sequences, "1 to 65536");
  require(options.max_tokens >= 2, kKind, "max_tokens", options.max_tokens, "2 or more");
  require(options.step_token_budget >= 1 && options.step_token_budget <= kMost, kKind,
          "max_rolling_batch_prefill_tokens", options.step_token_budget, "1 to 1048576");
  require(options.inter_token_target >= 0, kKind, "inter_token_target", options.inter_token_target,
          "0 or more");
  require(options.queue_size >= 0, kKind, "job_queue_size", options.queue_size, "0 or more");
  require(options.cache_bytes >= 0, kKind, "cache_bytes", options.cache_bytes, "0 or more");
  require(options.gpu_memory_utilization > 0 && options.gpu_memory_utilization <= 1, kKind,
          "gpu_memory_utilization", options.gpu_memory_utilization, "more than 0, at most 1");
  if (model.hard_position_limit && model.max_positions > 0) {
    options.max_tokens = std::min(options.max_tokens, model.max_positions);
  }
  options.prefix_sharing = options.prefix_sharing && model.rules.shares_prefix;
  return options;
}

GenerationRequest checked(GenerationRequest request, const ModelInfo& model,
                          const EngineOptions& options, int32_t blocks) {
  constexpr auto kKind = ErrorKind::kBadRequest;
  check_prompt(request, model, options.max_tokens);
  check_stops(request);
  validate(request.sampling);
  require(request.max_new_tokens >= 1, kKind, "max_new_tokens", request.max_new_tokens,
          "1 or more");
  require(request.min_new_tokens >= 0, kKind, "min_new_tokens", request.min_new_tokens,
          "0 or more");
  require(request.top_log_probs >= 0 && request.top_log_probs <= kMaxTopLogProbs, kKind,
          "top_log_probs", request.top_log_probs, "0 to 1000");
  if (request.sink == nullptr) throw_error(ErrorKind::kInternal, "a request without a sink");

  const auto prompt = static_cast<int32_t>(request.prompt.size());
  request.max_new_tokens = std::min(request.max_new_tokens, options.max_tokens - prompt);
  // The last token's keys are never needed.
  const int32_t needed = Scheduler::blocks_for(int64_t{prompt} + request.max_new_tokens - 1);
  if (needed > blocks) {
    throw_error(
        kKind,
        "a prompt of {} tokens with max_new_tokens {} needs {} tokens of KV cache, which has "
        "room for {}",
        prompt, request.max_new_tokens, int64_t{needed} * kBlockTokens,
        int64_t{blocks} * kBlockTokens);
  }
  if (request.eos_ids.empty()) request.eos_ids = model.eos_ids;
  check_rules(request, model);
  return request;
}

}  // namespace tensormill
