#pragma once

#include <string>
#include <vector>

#include "models/spec.h"

namespace tensormill {

// What a spec asks for beyond plain layers, one short name for each property: "grouped heads",
// "ALiBi", "norm after branches". In a fixed order, for `inspect` and the documentation.
std::vector<std::string> properties(const TransformerSpec& spec);

}  // namespace tensormill
