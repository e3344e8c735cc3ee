#pragma once

#include <memory>

#include "tokenizer/json_node.h"
#include "tokenizer/normalized.h"

namespace tensormill {

// Changes text before it is split. Immutable and thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(Normalized& text) const = 0;
};

// From a value of tokenizer.json's "normalizer".
std::unique_ptr<Normalizer> make_normalizer(const JsonNode& node);

// One function for each file of normalizers/.
std::unique_ptr<Normalizer> make_bert_normalizer(const JsonNode& node);
std::unique_ptr<Normalizer> make_byte_level_normalizer(const JsonNode& node);
std::unique_ptr<Normalizer> make_lowercase(const JsonNode& node);
std::unique_ptr<Normalizer> make_nfc(const JsonNode& node);
std::unique_ptr<Normalizer> make_nfd(const JsonNode& node);
std::unique_ptr<Normalizer> make_nfkc(const JsonNode& node);
std::unique_ptr<Normalizer> make_nfkd(const JsonNode& node);
std::unique_ptr<Normalizer> make_nmt(const JsonNode& node);
std::unique_ptr<Normalizer> make_normalizer_sequence(const JsonNode& node);
std::unique_ptr<Normalizer> make_precompiled(const JsonNode& node);
std::unique_ptr<Normalizer> make_prepend(const JsonNode& node);
std::unique_ptr<Normalizer> make_replace(const JsonNode& node);
std::unique_ptr<Normalizer> make_strip(const JsonNode& node);
std::unique_ptr<Normalizer> make_strip_accents(const JsonNode& node);

}  // namespace tensormill
