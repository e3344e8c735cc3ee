#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace tensormill {

// The one input of a model: the tokens of all sequences of a step in one flat array, prompt chunks
// and single decode tokens mixed, no padding. All arrays lie in device memory.
struct RaggedBatch {
  Live rows;        // tokens of this step
  Live sequences;   // sequences that take part
  Live logit_rows;  // rows whose logits are wanted
  int32_t max_keys = 0;

  const int32_t* tokens = nullptr;  // [rows]
  const int32_t* positions =
      nullptr;  // [rows], from 0 in each sequence; also the slot in its cache
  const int32_t* row_sequence = nullptr;  // [rows]: index of the row's sequence in this batch
  const int32_t* rope_lengths = nullptr;  // [rows]: dynamic rope: max(prompt length, position + 1)
  const int32_t* row_begin = nullptr;     // [sequences + 1]
  const int32_t* keys = nullptr;          // [sequences]: keys in the cache after this step
  const int32_t* logit_row = nullptr;     // [logit_rows]: index into rows
  const int32_t* tables = nullptr;        // [sequences, table_stride]: block ids
  int32_t table_stride = 0;
};

}  // namespace tensormill
