#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifacts/tensor_index.h"
#include "models/registry.h"
#include "models/weights.h"

namespace tensormill {

// How the rows of a tensor become those of a product: as they stand (with `map` and `step`), or in
// pairs (gate_i, up_i) of a tensor whose halves are gates and ups.
enum class Halves : uint8_t { kNone, kGateUp, kUpGate };

// One tensor of the checkpoint and where it goes: into rows of a Linear, its bias, or a plain
// buffer of the model.
struct PlannedTensor {
  enum class Target : uint8_t { kWeight, kBias, kNorm, kTable };

  std::string name;  // as stored; where it is missing, the usual name
  std::vector<int64_t> shape;
  Target target = Target::kWeight;
  const NamedTensor* stored = nullptr;

  Linear* linear = nullptr;     // kWeight, kBias
  Buffer* buffer = nullptr;     // kNorm, kTable
  float plus = 0;               // kNorm: added to each value
  int32_t first_row = 0;        // of the product; kNorm: first value in the buffer
  int32_t copy = 0;             // of the product's weights
  int32_t step = 1;             // gate and up rows alternate
  int32_t row_width = 0;        // kTable: of the table's rows, where the tensor's rows fill only
  int32_t first_column = 0;     // a part of them, from this column on
  int32_t from = 0, count = 0;  // kWeight, kBias: these of the stored rows; count 0: all
  bool transposed = false;      // stored [inner, outputs]
  bool unit_rows = false;       // each row is divided by its length
  Halves halves = Halves::kNone;
  RowMap map = nullptr;
  const AttentionSpec* attention = nullptr;
};

// What a model reads of a checkpoint: `weights` has been laid out and outlives the plan.
std::vector<PlannedTensor> plan_weights(const FamilyModel& model, const TensorIndex& checkpoint,
                                        ModelWeights& weights);

// Errors: kArtifactInvalid with every missing, misshapen and unused tensor, at once.
void verify(const FamilyModel& model, const TensorIndex& checkpoint,
            const std::vector<PlannedTensor>& plan);

// The stored matrices' type; of a mix the narrowest that holds all. The plan must be verified.
WeightFormat stored_format(const std::vector<PlannedTensor>& plan);

}  // namespace tensormill
