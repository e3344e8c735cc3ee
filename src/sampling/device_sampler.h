#pragma once

#include <cstdint>
#include <span>

#include "ops/sample.h"
#include "tensor/tensor.h"

namespace tensormill {

// Chooses tokens on the device that the logits lie on, and holds there what the choice depends on:
// the tokens of the sequences that run.
class DeviceSampler {
 public:
  struct Sizes {
    int32_t vocabulary, rows;       // of logits
    int32_t sequences, max_tokens;  // of the history
  };
  // The table has an entry for it. Errors: kOutOfMemory.
  DeviceSampler(const KernelTable& kernels, Stream stream, Device& device, const Sizes& sizes);

  const int32_t* history() const { return history_.as<int32_t>(); }
  int64_t history_stride() const { return sizes_.max_tokens; }
  // The beginning of a row of the history, for what is enqueued from now on.
  void put_history(int32_t row, std::span<const int32_t> tokens);

  // Enqueues the choice for all rows of logits; `rows` lie on the device, `results` [rows] there or
  // in its staging memory.
  void choose(const float* logits, const SampleRow* rows, SampleResult* results, Live live);

 private:
  const KernelTable& kernels_;
  Stream stream_;
  Device& device_;
  Sizes sizes_;
  Buffer history_;  // [sequences, max_tokens]
  Buffer scratch_;
};

}  // namespace tensormill
