#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace tensormill {

using LoadProgress = std::function<void(const char* stage, int64_t done, int64_t total)>;

// Logs how far a load is once it has taken some seconds, and then every so often: "`what`: loading
// weights, 35 % of 2.20 GB". Calls `next` first, where it is set.
LoadProgress logged_progress(std::string what, LoadProgress next,
                             std::chrono::milliseconds first = std::chrono::seconds(3),
                             std::chrono::milliseconds every = std::chrono::seconds(5));

}  // namespace tensormill
