#include "engine/runner.h"

namespace tensormill {

CacheMemory HostRunner::memory() const {
  CacheMemory memory;
  memory.available = available_memory();
  return memory;
}

StepDraft HostRunner::begin(const StepShape& shape) {
  const StepLayout layout(shape);
  if (message_.size() < layout.size()) message_.resize(layout.size());
  batch_ = layout.batch(message_.data());
  return {layout, message_.data()};
}

// All rows are asked for where the runner doesn't choose.
void HostRunner::launch(std::span<const int32_t> /*logit_rows*/) {
  logits_ = step(batch_);
}

}  // namespace tensormill
