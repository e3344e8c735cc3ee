#pragma once

#include <string>
#include <vector>

namespace tensormill {

// Language codes in the order of the checkpoints' ids.
enum class Languages { kMBart, kMBart50, kNllb, kM2m100, kWmt21, kPlBartBase, kPlBartMulti };

std::vector<std::string> language_codes(Languages languages);

}  // namespace tensormill
