#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sampling/token_rules.h"

namespace tensormill {

// What a model's authors set for generation, where they set it. Which API honours it is the API's
// business.
struct GenerationDefaults {
  std::optional<bool> do_sample;
  std::optional<float> temperature, top_p, typical_p, min_p, repetition_penalty;
  std::optional<int32_t> top_k, no_repeat_ngram_size;
  std::optional<int32_t> max_new_tokens, min_new_tokens;  // of the output
  std::optional<int32_t> max_length, min_length;          // of prompt and output
  std::vector<std::string> stop_strings;
  std::shared_ptr<const TokenRules> rules;  // null: none
};

inline const GenerationDefaults kNoDefaults;

// generation_config.json of `folder`; without that file the same keys of config.json, as older
// versions of transformers saved them; without either nothing. A key of generation_config.json that
// would change the text and that this program doesn't act on is logged. Errors: kArtifactInvalid
// naming file, key and value, also for rules on tokens that a vocabulary of that size hasn't. The
// ids that end a text are ModelInfo::eos_ids.
GenerationDefaults read_generation_defaults(const std::filesystem::path& folder,
                                            int32_t vocabulary);

}  // namespace tensormill
