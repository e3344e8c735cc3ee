#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/model.h"
#include "nn/ragged_batch.h"

namespace tensormill {

// Builds a ragged batch in the host's memory, one chunk of one sequence at a time.
class HostBatch {
 public:
  enum class Logits : uint8_t { kNone, kLast, kAll };

  void clear();
  // Tokens begin, begin + 1, ... of a sequence whose prompt has `prompt_length` tokens and whose
  // cache lies in `blocks`; `places` where the model needs them.
  void add(std::span<const int32_t> tokens, int32_t begin, int32_t prompt_length,
           std::span<const int32_t> blocks, Logits logits, const TokenPlaces& places = {});
  // Valid until the next change.
  const RaggedBatch& batch();

 private:
  std::vector<int32_t> tokens_, slots_, positions_[2], row_sequence_, prompts_, row_begin_{0},
      keys_, prefix_;
  std::vector<int32_t> logit_row_, tables_;
  std::vector<std::vector<int32_t>> blocks_;
  int32_t counts_[3] = {};  // rows, sequences, logit rows
  RaggedBatch batch_;
};

// Logits and hidden rows of all tokens of some sequences, in order.
struct AllRows {
  int64_t rows = 0;
  std::vector<float> logits;  // [rows, vocabulary]
  std::vector<float> hidden;  // [rows, head_width]
};

// Tokens [begin, begin + count) of a sequence and what the model makes of them: logits and hidden
// rows of all, on the device, valid during the visit.
struct VisitedChunk {
  size_t sequence;
  int32_t begin, count;
  StepOutput output;
};

// Runs whole sequences without generating, one after the other, at most `chunk` tokens a step (all
// of a sequence where the model can't split it). Errors: kBadRequest for an empty sequence, a token
// outside the vocabulary or more tokens than the model has positions.
void visit_sequences(const Model& model, const std::vector<std::vector<int32_t>>& sequences,
                     int32_t chunk, const std::function<void(const VisitedChunk&)>& visit);

// The same, all results kept.
AllRows run_sequences(const Model& model, const std::vector<std::vector<int32_t>>& sequences,
                      int32_t chunk);

}  // namespace tensormill
