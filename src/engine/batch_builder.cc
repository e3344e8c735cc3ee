#include "engine/batch_builder.h"

#include <algorithm>

namespace tensormill {

BatchBuilder::BatchBuilder(const StepLimits& limits) {
  const auto rows = static_cast<size_t>(limits.rows);
  const auto sequences = static_cast<size_t>(limits.sequences);
  const auto stride = static_cast<size_t>(Scheduler::blocks_for(limits.max_keys));
  message_.resize(3 + 6 * rows + (sequences + 1) + 3 * sequences + sequences * stride);
  int32_t* next = message_.data();
  const auto section = [&next](size_t size) {
    int32_t* begin = next;
    next += size;
    return begin;
  };
  rows_ = section(1);
  sequences_ = section(1);
  logit_rows_ = section(1);
  tokens_ = section(rows);
  slots_ = section(rows);
  for (int32_t*& positions : positions_) positions = section(rows);
  row_sequence_ = section(rows);
  prompts_ = section(rows);
  row_begin_ = section(sequences + 1);
  keys_ = section(sequences);
  prefix_ = section(sequences);
  logit_row_ = section(sequences);
  tables_ = section(sequences * stride);

  batch_.tokens = tokens_;
  batch_.slots = slots_;
  for (int axis = 0; axis < 2; ++axis) batch_.positions[axis] = positions_[axis];
  batch_.row_sequence = row_sequence_;
  batch_.prompts = prompts_;
  batch_.row_begin = row_begin_;
  batch_.keys = keys_;
  batch_.prefix = prefix_;
  batch_.logit_row = logit_row_;
  batch_.tables = tables_;
  batch_.table_stride = static_cast<int32_t>(stride);
}

const RaggedBatch& BatchBuilder::build(std::span<const StepItem> items) {
  int32_t row = 0, logit_rows = 0, sequence = 0;
  batch_.max_keys = 0;
  for (const StepItem& item : items) {
    const Sequence& s = *item.sequence;
    row_begin_[sequence] = row;
    keys_[sequence] = item.first + item.count;
    prefix_[sequence] = s.places.prefix();
    batch_.max_keys = std::max(batch_.max_keys, keys_[sequence]);
    std::copy(s.blocks.begin(), s.blocks.end(),
              tables_ + static_cast<ptrdiff_t>(sequence) * batch_.table_stride);
    for (int32_t i = item.first; i < item.first + item.count; ++i, ++row) {
      tokens_[row] = s.tokens[static_cast<size_t>(i)];
      slots_[row] = i;
      for (int axis = 0; axis < 2; ++axis) positions_[axis][row] = s.places.position(axis, i);
      row_sequence_[row] = sequence;
      prompts_[row] = s.prompt;
    }
    if (item.samples) logit_row_[logit_rows++] = row - 1;
    ++sequence;
  }
  row_begin_[sequence] = row;
  *rows_ = row;
  *sequences_ = sequence;
  *logit_rows_ = logit_rows;
  batch_.rows = {rows_, row};
  batch_.sequences = {sequences_, sequence};
  batch_.logit_rows = {logit_rows_, logit_rows};
  return batch_;
}

}  // namespace tensormill
