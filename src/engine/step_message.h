#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/scheduler.h"
#include "nn/ragged_batch.h"

namespace tensormill {

// Bounds that a step's message is laid out for.
struct StepShape {
  int32_t rows = 0, sequences = 0, logit_rows = 0;
  int32_t max_keys = 0;
  int32_t blocks = 0;    // block ids of a sequence
  bool chooses = false;  // a SampleRow for each logit row

  // Every sequence computes one token and chooses the next.
  bool decodes() const { return rows == sequences && rows == logit_rows; }
};

// What these items need.
StepShape shape_of(std::span<const StepItem> items, bool chooses);

// Where the parts of a step stand in its one flat int32 message.
class StepLayout {
 public:
  explicit StepLayout(const StepShape& shape);

  const StepShape& shape() const { return shape_; }
  size_t size() const { return size_; }
  // The batch of a message that lies (or will lie) at `message`.
  RaggedBatch batch(const int32_t* message) const;
  // Its [logit_rows] SampleRows.
  const SampleRow* choices(const int32_t* message) const;

  // Writes the items, which fit the shape. What the shape has beyond them is filled with rows and
  // sequences that the counts exclude. Their choices are written by themselves, in the order of the
  // items that sample.
  void write(std::span<const StepItem> items, int32_t* message) const;
  void write_choice(int32_t logit_row, const SampleRow& choice, int32_t* message) const;

 private:
  int32_t write_rows(std::span<const StepItem> items, int32_t* message) const;
  void write_sequence(const StepItem& item, int32_t sequence, int32_t* message) const;
  void fill(size_t section, int32_t from, int32_t to, int32_t value, int32_t* message) const;

  StepShape shape_;
  size_t tokens_, slots_, positions_[2], row_sequence_, prompts_, row_begin_, keys_, prefix_;
  size_t logit_row_, choices_, tables_;
  size_t size_;
};

}  // namespace tensormill
