#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "engine/step_message.h"
#include "tensor/device.h"

namespace tensormill {

// Decode steps that a device has recorded, one for each of a few shapes; the counts, which lie in
// the message, say what a step has less.
class StepRecordings {
 public:
  // limits: of the largest shape. on: false records nothing.
  StepRecordings(Device& device, const StepShape& limits, bool on)
      : device_(device), limits_(limits), on_(on) {}

  // The shape that a step runs in: rounded up where it may be recorded.
  StepShape fit(const StepShape& shape) const;

  // Runs what `enqueue` enqueues for a shape that fit() gave.
  void run(const StepShape& shape, const std::function<void()>& enqueue);

 private:
  struct Entry {
    bool warm = false;
    std::unique_ptr<Recording> recording;
  };
  void record(Entry& entry, const std::function<void()>& enqueue);

  Device& device_;
  StepShape limits_;
  bool on_;
  std::map<std::pair<int32_t, int32_t>, Entry> entries_;  // by rows and blocks
};

// The sizes of batches that are recorded: 1 to 8, then four between a power of two and the next.
int32_t recorded_rows(int32_t rows);

}  // namespace tensormill
