#pragma once

#include <functional>
#include <map>
#include <memory>
#include <tuple>

#include "engine/step_message.h"
#include "tensor/device.h"

namespace tensormill {

// Steps that a device has recorded, two for each of a few shapes; the counts, which lie in the
// message, say what a step has less. All that only decode are, and those with short prompts that
// come often.
class StepRecordings {
 public:
  // limits: of the largest shape. on: false records nothing.
  StepRecordings(Device& device, const StepShape& limits, bool on)
      : device_(device), limits_(limits), on_(on) {}

  // The shape that a step runs in: rounded up where it may be recorded.
  StepShape fit(const StepShape& shape) const;

  // Runs what `enqueue` enqueues for a shape that fit() gave. side: which of the two steps that may
  // be under way, since each has addresses of its own.
  void run(const StepShape& shape, int side, const std::function<void()>& enqueue);

 private:
  using Key = std::tuple<int32_t, int32_t, int32_t, int32_t, int>;
  struct Entry {
    int64_t uses = 0;
    std::unique_ptr<Recording> recording;
  };
  bool may_record(const StepShape& shape) const;
  bool recurs(const Entry& entry, const StepShape& shape) const;
  void record(Entry& entry, const StepShape& shape, const std::function<void()>& enqueue);

  Device& device_;
  StepShape limits_;
  bool on_, more_prompts_ = true;
  int32_t prompts_ = 0;           // recordings of steps with prompts
  std::map<Key, Entry> entries_;  // by rows, sequences, logit rows, blocks and side
};

// The sizes of batches that are recorded: 1 to 8, then four between a power of two and the next.
int32_t recorded_rows(int32_t rows);

}  // namespace tensormill
