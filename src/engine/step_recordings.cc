#include "engine/step_recordings.h"

#include <algorithm>
#include <bit>
#include <exception>

#include "base/log.h"

namespace tensormill {
namespace {

// Tables of block ids are uploaded whole: short ones for short sequences.
constexpr int32_t kFewestBlocks = 64;
// Steps of more rows keep the device busy for longer than the host needs to enqueue them.
constexpr int32_t kMostRows = 256;
// Recording costs more than one replay saves, and prompts come in many shapes: those that come
// often are recorded, as long as there is room. Each takes a megabyte or so.
constexpr int32_t kUsesOfPrompts = 8, kMostPrompts = 64;

int32_t power_of_two(int32_t n) {
  return static_cast<int32_t>(std::bit_ceil(static_cast<uint32_t>(n)));
}

}  // namespace

int32_t recorded_rows(int32_t rows) {
  if (rows <= 8) return rows;
  const int32_t step = power_of_two(rows) / 8;
  return (rows + step - 1) / step * step;
}

bool StepRecordings::may_record(const StepShape& shape) const {
  return on_ && (shape.decodes() || shape.rows <= kMostRows);
}

StepShape StepRecordings::fit(const StepShape& shape) const {
  if (!may_record(shape)) return shape;
  StepShape fitted = shape;
  fitted.sequences = std::min(recorded_rows(shape.sequences), limits_.sequences);
  fitted.rows = fitted.sequences;
  if (shape.rows > shape.sequences) {
    // As many rows as sequences would say that each has one.
    const int32_t rows = recorded_rows(std::max(shape.rows, fitted.sequences + 1));
    fitted.rows = std::min({rows, limits_.rows, kMostRows});
    if (fitted.rows <= fitted.sequences) return shape;
  }
  fitted.logit_rows = shape.logit_rows == 0 ? 0 : fitted.sequences;
  fitted.blocks = std::min(std::max(kFewestBlocks, power_of_two(shape.blocks)), limits_.blocks);
  fitted.max_keys = std::min(fitted.blocks * kBlockTokens, limits_.max_keys);
  return fitted;
}

// A shape runs as it is once at least before it is recorded: what is made at the first use of a
// kernel can't be made in a recording.
bool StepRecordings::recurs(const Entry& entry, const StepShape& shape) const {
  if (shape.decodes()) return entry.uses > 1;
  return entry.uses > kUsesOfPrompts && more_prompts_ && prompts_ < kMostPrompts;
}

void StepRecordings::run(const StepShape& shape, int side, const std::function<void()>& enqueue) {
  if (!may_record(shape)) {
    enqueue();
    return;
  }
  Entry& entry = entries_[{shape.rows, shape.sequences, shape.logit_rows, shape.blocks, side}];
  ++entry.uses;
  if (entry.recording == nullptr && recurs(entry, shape)) {
    record(entry, shape, enqueue);
  }
  if (entry.recording != nullptr) {
    entry.recording->replay();
  } else {
    enqueue();
  }
}

// What can't be recorded runs as it is; steps that decode and were recorded stay so without
// prompts.
void StepRecordings::record(Entry& entry, const StepShape& shape,
                            const std::function<void()>& enqueue) {
  try {
    entry.recording = device_.record(enqueue);
    if (!shape.decodes()) ++prompts_;
    if (entry.recording == nullptr) on_ = false;
  } catch (const std::exception& error) {
    spdlog::warn("{}: steps {} are not recorded: {}", device_.name(),
                 shape.decodes() ? "that decode" : "with prompts", error.what());
    (shape.decodes() ? on_ : more_prompts_) = false;
  }
}

}  // namespace tensormill
