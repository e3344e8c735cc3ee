#pragma once

#include "config/layers.h"

namespace tensormill {

// The values of ServeArguments::options, which win over every other source: settings by key (-o),
// and our own flags ("--dtype") with the spellings that only they take. Keys that only the server
// knows are left to it.
void put_overrides(Layers& layers, const std::vector<std::pair<std::string, std::string>>& options);

}  // namespace tensormill
