#include "engine/step_pace.h"

#include <algorithm>
#include <limits>

namespace tensormill {
namespace {

constexpr double kShare = 0.3;  // of a new measurement, beside those before it
// A few tokens' time is mostly that of reading the weights: of so many tokens half of it counts.
constexpr double kFewTokens = 64;
// One step that something else held up must not say how the next ones are cut.
constexpr double kMostChange = 2;

void learn(double& known, double seen, double share) {
  if (known == 0) {
    known = seen;
  } else {
    known += share * (std::clamp(seen, known / kMostChange, known * kMostChange) - known);
  }
}

}  // namespace

double StepPace::prompt_work() const {
  if (target_ == 0 || token_ == 0) return std::numeric_limits<double>::infinity();
  return std::max(target_ - decode_, decode_) / token_;
}

void StepPace::measured(double work, bool decodes, double seconds) {
  if (seconds <= 0) return;
  if (work == 0) {
    if (decodes) learn(decode_, seconds, kShare);
    return;
  }
  const double decoding = decodes ? std::min(decode_, 0.5 * seconds) : 0;
  learn(token_, (seconds - decoding) / work, kShare * work / (work + kFewTokens));
}

}  // namespace tensormill
