#pragma once

#include "models/model.h"
#include "tensor/tensor.h"

namespace tensormill {

// A batch made in the host's memory, brought to where a model runs.
class DeviceBatch {
 public:
  explicit DeviceBatch(Device& device) : device_(device) {}

  // Valid until the next call, and as long as `host` is.
  const RaggedBatch& bring(const RaggedBatch& host);

 private:
  Device& device_;
  Buffer memory_;
  RaggedBatch batch_;
};

}  // namespace tensormill
