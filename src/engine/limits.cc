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
  return result;
}

StepLimits step_limits(const SchedulerOptions& options) {
  StepLimits limits;
  limits.rows = Scheduler::row_limit(options);
  limits.sequences = limits.logit_rows = options.max_sequences;
  limits.max_keys = options.max_tokens;
  return limits;
}

}  // namespace tensormill
