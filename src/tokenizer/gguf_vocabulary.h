#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace tensormill {

// The tokenizer of a GGUF file (its keys tokenizer.ggml.*), as plain values.
struct GgufVocabulary {
  std::string origin;  // for messages
  std::string model;   // "gpt2": byte-level BPE; "llama": SentencePiece BPE
  std::string pre;     // which pre-tokenizer a byte-level BPE has
  std::vector<std::string> tokens;
  std::vector<double> scores;  // SentencePiece: of each token; may be missing where merges are
  std::vector<int64_t> types;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::string> merges;
  std::optional<int64_t> bos, eos, unknown, padding;
  std::optional<bool> add_bos, add_eos, add_space_prefix;  // none: the model's default
  std::optional<std::string> chat_template;
};

// tokenizer.json and tokenizer_config.json for it. Errors: kUnsupported naming what is supported
// (model, pre); kArtifactInvalid naming the key and what was expected.
nlohmann::ordered_json gguf_tokenizer(const GgufVocabulary& vocabulary);
nlohmann::ordered_json gguf_tokenizer_config(const GgufVocabulary& vocabulary);

}  // namespace tensormill
