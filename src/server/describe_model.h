#pragma once

#include <nlohmann/json_fwd.hpp>

#include "server/model_registry.h"

namespace tensormill {

// One element of the reply to GET /models/{name}.
nlohmann::ordered_json describe_model(const ServedModel& model);

// In the order of which is worse.
enum class Health : uint8_t { kHealthy, kUnhealthy, kPending, kFailed };

// Unhealthy: the last step failed. Failed: the load did, more steps in a row than retry_threshold,
// or the device for good.
Health health_of(const ServedModel& model);

}  // namespace tensormill
