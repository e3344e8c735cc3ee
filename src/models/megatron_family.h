#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "artifacts/megatron_checkpoint.h"

namespace tensormill {

enum class MegatronSize : uint8_t { kNone, kWidth, kInner, kQkv, kVocabulary, kPositions };

// How tensor parallel ranks share a tensor. What isn't shared is the same on all of them.
enum class MegatronSplit : uint8_t { kNone, kRows, kColumns, kQueryKeyValue };

// The tensors NAME.weight [rows, columns] and NAME.bias [rows] of the checkpoint and their stem in
// a Hugging Face model; {L} is the layer's number.
struct MegatronRow {
  std::string_view megatron, name;
  MegatronSize rows, columns = MegatronSize::kNone;  // kNone: a vector
  MegatronSplit split = MegatronSplit::kNone;
  bool transposed = false, bias = true;
};

struct MegatronPrefix {
  std::string_view prefix, meaning;
};

// Follow from the tensors, but for `vocabulary` (without padding) and `heads`.
struct MegatronSizes {
  int64_t width = 0, inner = 0, layers = 0, positions = 0, padded = 0;
  int64_t vocabulary = 0, heads = 0;
};

// What the caller knows besides the checkpoint.
struct MegatronHints {
  const nlohmann::json* config = nullptr;  // a config.json beside it
  int64_t heads = 0;                       // 0: not given
};

struct MegatronFamily {
  std::string_view name;  // for messages
  std::span<const MegatronRow> rows;
  std::span<const MegatronPrefix> spellings;  // of names in `rows`, which begin with the meaning
  std::span<const MegatronPrefix> skipped;    // tensors that repeat others
  std::span<const MegatronPrefix> others;     // tensors of other models
  // config.json without torch_dtype; sets heads and vocabulary. Errors: kUnsupported and
  // kArtifactInvalid naming the argument.
  nlohmann::ordered_json (*config)(const MegatronCheckpoint& checkpoint, const MegatronHints& hints,
                                   MegatronSizes& sizes);
};

const MegatronFamily& megatron_family();

}  // namespace tensormill
