#pragma once

#include <string>
#include <vector>

#include "models/registry.h"

namespace tensormill {

// Models that hold one of a family beside others: its spec and names, from text_config. Errors:
// those of the families.
FamilyModel describe_wrapped(ConfigReader& config);

// The model_types that describe_wrapped() knows, in ascending order.
std::vector<std::string> wrapped_model_types();

}  // namespace tensormill
