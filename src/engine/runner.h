#pragma once

#include <cstdint>

#include "models/model.h"
#include "nn/ragged_batch.h"

namespace tensormill {

// What computes the engine's steps. Called by one thread.
class Runner {
 public:
  virtual ~Runner() = default;

  virtual const ModelInfo& info() const = 0;
  // Makes cache and workspace; called once, before the first step.
  virtual void prepare(int32_t blocks, const StepLimits& limits) = 0;
  // Logits [batch.logit_rows, vocabulary], ready to be read, valid until the next step. What it
  // throws fails the requests of this step.
  virtual const float* step(const RaggedBatch& batch) = 0;
};

}  // namespace tensormill
