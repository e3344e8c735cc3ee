#include "engine/limits.h"

#include <algorithm>

namespace tensormill {

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
  result.cost = prompt_cost(model);
  return result;
}

// A token takes two operations for each parameter, four for each key and value of each layer;
// attention runs at about half of the products' speed.
PromptCost prompt_cost(const ModelInfo& model) {
  constexpr double kSlower = 2;
  const double operations = 4.0 * model.width * model.layers;
  return {model.parameters > 0
              ? kSlower * operations / (2.0 * static_cast<double>(model.parameters))
              : 0};
}

StepLimits step_limits(const SchedulerOptions& options) {
  StepLimits limits;
  limits.rows = Scheduler::row_limit(options);
  limits.sequences = limits.logit_rows = options.max_sequences;
  limits.max_keys = options.max_tokens;
  return limits;
}

}  // namespace tensormill
