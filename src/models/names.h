#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "nn/spec.h"

namespace tensormill {

// What a checkpoint's module does. Whether it has a bias or a shift follows from the spec; rows of
// norms, biases, queries and keys that the spec has not are passed over.
enum class Role : uint8_t {
  kEmbedding,
  kEmbeddingNorm,
  kPositions,        // learned, of axis 0; an axial table is named without ".weight"
  kSecondPositions,  // of axis 1
  kProjectIn,        // from the embedding's width to the stack's
  kProjectOut,       // and back, before the head
  kFinalNorm,
  kHead,
  kHeadBias,  // full name of the head's bias, where a file stores it apart from the head
  kNormIn,
  kNormOut,
  kNormSum,
  kQuery,
  kKey,
  kValue,
  kQueryKey,  // one product for both
  kQueryKeyValue,
  kQueryNorm,
  kKeyNorm,
  kAttentionOut,
  kGate,
  kUp,
  kGateUp,  // all gate rows, then all up rows
  kUpGate,  // the reverse
  kDown,
  kQueryDown,  // makes a short row of which kQuery makes the queries
  kQueryDownNorm,
  kLatent,  // makes the latent and the keys' turned elements
  kLatentNorm,
  kFromLatent,  // makes each head's key and value, side by side
  kRouter,
  kRouterBias,  // added to experts' scores for the choice; the pattern is the tensor's whole name
};

// Row of the checkpoint's tensor that becomes row `row` of the packed product, whose rows are the
// queries of all heads, then the keys, then the values.
using RowMap = int32_t (*)(const AttentionSpec& attention, int32_t row);

// One module of the checkpoint: `pattern` + ".weight", and ".bias" where the spec has one. {L}
// stands for the layer's number, {E} for the expert's: such a row is passed over where a layer has
// no experts, and one of an MLP without {E} where it has more than one.
struct NameRow {
  std::string_view pattern;
  Role role;
  int8_t branch = 0;        // of the layer
  bool transposed = false;  // stored [inner, outputs]
  RowMap map = nullptr;     // null: in order
};

// How a family's checkpoints name their tensors.
struct Names {
  std::string_view prefix;  // "model.", usual before the base model's names; see StoredNames
  std::vector<NameRow> rows;
  // Stored by some versions, not weights: ignored. "vision_tower.*": all that start so.
  std::vector<std::string_view> buffers;
};

}  // namespace tensormill
