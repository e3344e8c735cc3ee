#include "engine/step_message.h"

#include <algorithm>
#include <cstring>

namespace tensormill {
namespace {

constexpr size_t kRows = 0, kSequences = 1, kLogitRows = 2, kCounts = 3;  // first in a message
constexpr size_t kPieceWords = 4;  // a message is copied in whole pieces of 16 bytes
constexpr size_t kChoiceWords = sizeof(SampleRow) / sizeof(int32_t);
static_assert(alignof(SampleRow) == alignof(int32_t));

}  // namespace

StepShape shape_of(std::span<const StepItem> items, bool chooses) {
  StepShape shape;
  shape.sequences = static_cast<int32_t>(items.size());
  shape.chooses = chooses;
  for (const StepItem& item : items) {
    shape.rows += item.count;
    shape.logit_rows += item.samples ? 1 : 0;
    shape.max_keys = std::max(shape.max_keys, item.first + item.count);
  }
  shape.blocks = Scheduler::blocks_for(shape.max_keys);
  return shape;
}

StepLayout::StepLayout(const StepShape& shape) : shape_(shape) {
  const auto rows = static_cast<size_t>(shape.rows),
             sequences = static_cast<size_t>(shape.sequences);
  const auto logit_rows = static_cast<size_t>(shape.logit_rows);
  size_t next = kCounts;
  const auto section = [&next](size_t size) {
    const size_t begin = next;
    next += size;
    return begin;
  };
  tokens_ = section(rows);
  slots_ = section(rows);
  for (size_t& positions : positions_) positions = section(rows);
  row_sequence_ = section(rows);
  prompts_ = section(rows);
  row_begin_ = section(sequences + 1);
  keys_ = section(sequences);
  prefix_ = section(sequences);
  logit_row_ = section(logit_rows);
  choices_ = section(shape.chooses ? logit_rows * kChoiceWords : 0);
  tables_ = section(sequences * static_cast<size_t>(shape.blocks));
  size_ = (next + kPieceWords - 1) / kPieceWords * kPieceWords;
}

RaggedBatch StepLayout::batch(const int32_t* message) const {
  RaggedBatch batch;
  batch.rows = {message + kRows, shape_.rows};
  batch.sequences = {message + kSequences, shape_.sequences};
  batch.logit_rows = {message + kLogitRows, shape_.logit_rows};
  batch.max_keys = shape_.max_keys;
  batch.tokens = message + tokens_;
  batch.slots = message + slots_;
  for (int axis = 0; axis < 2; ++axis) batch.positions[axis] = message + positions_[axis];
  batch.row_sequence = message + row_sequence_;
  batch.prompts = message + prompts_;
  batch.row_begin = message + row_begin_;
  batch.keys = message + keys_;
  batch.prefix = message + prefix_;
  batch.logit_row = message + logit_row_;
  batch.tables = message + tables_;
  batch.table_stride = shape_.blocks;
  return batch;
}

const SampleRow* StepLayout::choices(const int32_t* message) const {
  return reinterpret_cast<const SampleRow*>(message + choices_);
}

void StepLayout::write(std::span<const StepItem> items, int32_t* message) const {
  const auto sequences = static_cast<int32_t>(items.size());
  int32_t logit_rows = 0;
  const int32_t rows = write_rows(items, message);
  for (int32_t s = 0; s < sequences; ++s) {
    const StepItem& item = items[static_cast<size_t>(s)];
    write_sequence(item, s, message);
    if (!item.samples) continue;
    message[logit_row_ + static_cast<size_t>(logit_rows++)] =
        message[row_begin_ + static_cast<size_t>(s) + 1] - 1;
  }
  message[kRows] = rows;
  message[kSequences] = sequences;
  message[kLogitRows] = logit_rows;

  for (const size_t section :
       {tokens_, slots_, positions_[0], positions_[1], row_sequence_, prompts_}) {
    fill(section, rows, shape_.rows, 0, message);
  }
  fill(row_begin_, sequences + 1, shape_.sequences + 1, rows, message);
  for (const size_t section : {keys_, prefix_}) {
    fill(section, sequences, shape_.sequences, 0, message);
  }
  fill(tables_, sequences * shape_.blocks, static_cast<int32_t>(size_ - tables_), 0, message);
  fill(logit_row_, logit_rows, shape_.logit_rows, 0, message);
  for (int32_t row = logit_rows; shape_.chooses && row < shape_.logit_rows; ++row) {
    write_choice(row, {}, message);
  }
}

void StepLayout::write_choice(int32_t logit_row, const SampleRow& choice, int32_t* message) const {
  std::memcpy(message + choices_ + static_cast<size_t>(logit_row) * kChoiceWords, &choice,
              sizeof choice);
}

// Returns how many there are.
int32_t StepLayout::write_rows(std::span<const StepItem> items, int32_t* message) const {
  int32_t sequence = 0;
  size_t row = 0;
  for (const StepItem& item : items) {
    const Sequence& s = *item.sequence;
    const auto known = static_cast<int32_t>(s.tokens.size());
    message[row_begin_ + static_cast<size_t>(sequence)] = static_cast<int32_t>(row);
    for (int32_t i = item.first; i < item.first + item.count; ++i, ++row) {
      message[tokens_ + row] = i < known ? s.tokens[static_cast<size_t>(i)] : ~s.seat;
      message[slots_ + row] = i;
      for (int axis = 0; axis < 2; ++axis) {
        message[positions_[axis] + row] = s.places.position(axis, i);
      }
      message[row_sequence_ + row] = sequence;
      message[prompts_ + row] = s.prompt;
    }
    ++sequence;
  }
  message[row_begin_ + static_cast<size_t>(sequence)] = static_cast<int32_t>(row);
  return static_cast<int32_t>(row);
}

void StepLayout::write_sequence(const StepItem& item, int32_t sequence, int32_t* message) const {
  const Sequence& s = *item.sequence;
  const int32_t keys = item.first + item.count;
  message[keys_ + static_cast<size_t>(sequence)] = keys;
  message[prefix_ + static_cast<size_t>(sequence)] = s.places.prefix();
  // A sequence may have blocks for later steps already, or none at all.
  const int32_t blocks =
      std::min(Scheduler::blocks_for(keys), static_cast<int32_t>(s.blocks.size()));
  const int32_t begin = sequence * shape_.blocks;
  std::copy_n(s.blocks.begin(), blocks, message + tables_ + begin);
  fill(tables_, begin + blocks, begin + shape_.blocks, 0, message);
}

void StepLayout::fill(size_t section, int32_t from, int32_t to, int32_t value,
                      int32_t* message) const {
  std::fill(message + section + from, message + section + to, value);
}

}  // namespace tensormill
