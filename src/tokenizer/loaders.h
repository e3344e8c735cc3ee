#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
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
  bool names_additional = false;                      // the files have a list, maybe an empty one
  std::vector<std::pair<int64_t, AddedToken>> added;  // ascending ids
  std::optional<bool> add_bos, add_eos, add_prefix_space, legacy, clean_up_spaces;
  Json options = Json::object();  // tokenizer_config.json, for what only some classes know
  std::string file;               // its path

  std::string special(std::string_view name) const;  // its text, "" where there is none
  JsonNode node() const { return JsonNode(options, file); }
};

TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

// The stages from each kind of vocabulary file; added tokens and specials of the config come later.
PipelineParts load_tokenizer_json(const std::filesystem::path& file, TokenizerConfig& config);
// The stages that a tree of tokenizer.json's shape describes; complaints name `file`.
PipelineParts make_parts(const Json& tree, const std::string& file);

}  // namespace tensormill
