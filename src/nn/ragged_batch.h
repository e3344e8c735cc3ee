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

  const int32_t* tokens = nullptr;  // [rows]; below 0: see EmbedArgs
  // [*, history_stride]: tokens of the sequences that run. Null where no token is below 0.
  const int32_t* history = nullptr;
  int64_t history_stride = 0;
  const int32_t* slots = nullptr;  // [rows], from 0 in each sequence: place in its cache
  // [rows] on each axis: the place that the model gives the token. The slots, for most models.
  const int32_t* positions[2] = {};
  const int32_t* row_sequence = nullptr;  // [rows]: index of the row's sequence in this batch
  const int32_t* prompts = nullptr;       // [rows]: length of its request's prompt
  const int32_t* row_begin = nullptr;     // [sequences + 1]
  const int32_t* keys = nullptr;          // [sequences]: keys in the cache after this step
  const int32_t* prefix = nullptr;        // [sequences]: keys that all of its rows see
  const int32_t* logit_row = nullptr;     // [logit_rows]: index into rows
  const int32_t* tables = nullptr;        // [sequences, table_stride]: block ids
  int32_t table_stride = 0;
};

}  // namespace tensormill
