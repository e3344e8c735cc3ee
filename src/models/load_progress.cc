#include "models/load_progress.h"

#include <utility>

#include "base/log.h"

namespace tensormill {

LoadProgress logged_progress(std::string what, LoadProgress next, std::chrono::milliseconds first,
                             std::chrono::milliseconds every) {
  using Clock = std::chrono::steady_clock;
  return [what = std::move(what), next = std::move(next), every, due = Clock::now() + first](
             const char* stage, int64_t done, int64_t total) mutable {
    if (next) next(stage, done, total);
    const Clock::time_point now = Clock::now();
    if (now < due || done >= total) return;
    due = now + every;
    spdlog::info("{}: {}, {} % of {:.2f} GB", what, stage, done * 100 / total,
                 1e-9 * static_cast<double>(total));
  };
}

}  // namespace tensormill
