#pragma once

#include <nlohmann/json_fwd.hpp>

#include "server/model_registry.h"

namespace tensormill {

// One element of the reply to GET /models/{name}.
nlohmann::ordered_json describe_model(const ServedModel& model);

// "Healthy", "PENDING" or "FAILED": the words of describe and ping.
const char* health_of(const ServedModel& model);

}  // namespace tensormill
