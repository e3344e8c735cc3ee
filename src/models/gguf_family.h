#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/gguf.h"

namespace tensormill {

// Where a tensor of a Hugging Face checkpoint comes from in a GGUF file.
struct GgufSource {
  std::string name;  // the checkpoint's
  // The source row of an output row; empty: the same row.
  std::function<int64_t(int64_t)> row;
  bool transposed = false;  // the checkpoint holds [inputs, outputs]
  bool skipped = false;     // carries nothing that the checkpoint holds as a tensor
};

// What a GGUF architecture is called, and how its keys and tensors become a Hugging Face model.
struct GgufFamily {
  std::string_view architecture;  // general.architecture
  // config.json without what follows from the file alone (torch_dtype, token ids).
  // Errors: kArtifactInvalid naming the key; kUnsupported for what the family can't express.
  nlohmann::ordered_json (*config)(const GgufFile& file);
  // The source's description by its name in the GGUF file; an unknown name: an empty result name.
  GgufSource (*source)(const GgufFile& file, std::string_view tensor);
};

// Errors: kUnsupported, with the list of those that are.
const GgufFamily& find_gguf_family(const GgufFile& file);

// A row of a family's table of names: `gguf` and `name` share the layer's number {L} and the ending
// (.weight or .bias).
struct GgufName {
  std::string_view gguf, name;
  bool transposed = false;
};

// The first row that fits the tensor; an empty name when none does.
GgufSource match_gguf_name(const std::vector<GgufName>& names, std::string_view tensor);

// Sizes of the vocabulary as the embedding has it: padded vocabularies are longer than the tokens.
int64_t gguf_vocabulary(const GgufFile& file);

}  // namespace tensormill
