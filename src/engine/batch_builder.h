#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler.h"
#include "models/model.h"
#include "nn/ragged_batch.h"

namespace tensormill {

// Writes a step into one flat int32 message whose sections never move, and describes it.
class BatchBuilder {
 public:
  // limits.max_keys: tokens of the longest sequence.
  explicit BatchBuilder(const StepLimits& limits);

  // The batch is valid until the next call; allocates nothing. Logit rows come in the order of the
  // items that sample. Items must stay within the limits.
  const RaggedBatch& build(std::span<const StepItem> items);

  std::span<const int32_t> message() const { return message_; }

 private:
  std::vector<int32_t> message_;
  int32_t *rows_, *sequences_, *logit_rows_;  // the counts, first in the message
  int32_t *tokens_, *slots_, *positions_[2], *row_sequence_, *prompts_;
  int32_t *row_begin_, *keys_, *prefix_, *logit_row_, *tables_;
  RaggedBatch batch_;
};

}  // namespace tensormill
