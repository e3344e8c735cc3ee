#include "engine/step_recordings.h"

#include <algorithm>
#include <bit>
#include <exception>

#include "base/log.h"

namespace tensormill {
namespace {

// Tables of block ids are uploaded whole: short ones for short sequences.
constexpr int32_t kFewestBlocks = 64;

int32_t power_of_two(int32_t n) {
  return static_cast<int32_t>(std::bit_ceil(static_cast<uint32_t>(n)));
}

}  // namespace

int32_t recorded_rows(int32_t rows) {
  if (rows <= 8) return rows;
  const int32_t step = power_of_two(rows) / 8;
  return (rows + step - 1) / step * step;
}

StepShape StepRecordings::fit(const StepShape& shape) const {
  if (!on_ || !shape.decodes()) return shape;
  StepShape fitted = shape;
  fitted.rows = std::min(recorded_rows(shape.rows), limits_.sequences);
  fitted.sequences = fitted.logit_rows = fitted.rows;
  fitted.blocks = std::min(std::max(kFewestBlocks, power_of_two(shape.blocks)), limits_.blocks);
  fitted.max_keys = std::min(fitted.blocks * kBlockTokens, limits_.max_keys);
  return fitted;
}

// A shape runs as it is once before it is recorded: what is made at the first use of a kernel can't
// be made in a recording.
void StepRecordings::run(const StepShape& shape, const std::function<void()>& enqueue) {
  if (!on_ || !shape.decodes()) {
    enqueue();
    return;
  }
  Entry& entry = entries_[{shape.rows, shape.blocks}];
  if (entry.warm && entry.recording == nullptr) record(entry, enqueue);
  entry.warm = true;
  if (entry.recording != nullptr) {
    entry.recording->replay();
  } else {
    enqueue();
  }
}

void StepRecordings::record(Entry& entry, const std::function<void()>& enqueue) {
  try {
    entry.recording = device_.record(enqueue);
    on_ = entry.recording != nullptr;
  } catch (const std::exception& error) {
    spdlog::warn("{}: steps are not recorded: {}", device_.name(), error.what());
    on_ = false;
  }
}

}  // namespace tensormill
