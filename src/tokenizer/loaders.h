#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/pipeline.h"

namespace tensormill {

// What the small files beside a vocabulary say: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json and config.json.
struct TokenizerConfig {
  std::string tokenizer_class;  // without "Fast"; "" where nothing tells
  // "bos_token" -> token; a name without value has no token whatever the class's default is.
  // Those given as text alone have `as_text` set.
  struct Special {
    AddedToken token;
    bool as_text = false;
  };
  std::map<std::string, std::optional<Special>, std::less<>> specials;
  std::vector<Special> additional;
  std::vector<std::pair<int64_t, AddedToken>> added;  // ascending ids
  std::optional<bool> add_bos, add_eos, add_prefix_space, legacy;
  bool clean_up_spaces = false;

  std::string special(std::string_view name) const;  // its text, "" where there is none
};

TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

// The stages from each kind of vocabulary file; added tokens and specials of the config come later.
PipelineParts load_tokenizer_json(const std::filesystem::path& file, TokenizerConfig& config);
PipelineParts load_vocab_and_merges(const std::filesystem::path& folder,
                                    const TokenizerConfig& config);
PipelineParts load_sentencepiece(const std::filesystem::path& file, const TokenizerConfig& config);

}  // namespace tensormill
