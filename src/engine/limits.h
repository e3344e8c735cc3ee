#pragma once

#include "engine/engine.h"
#include "engine/scheduler.h"

namespace tensormill {

// What follows from the options for a cache of so many blocks.
SchedulerOptions scheduler_options(const EngineOptions& options, const ModelInfo& model,
                                   int32_t blocks);
PromptCost prompt_cost(const ModelInfo& model);
StepLimits step_limits(const SchedulerOptions& options);

}  // namespace tensormill
