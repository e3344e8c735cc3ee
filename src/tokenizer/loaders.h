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
    bool of_map = false;  // special_tokens_map.json gives it
  };
  std::map<std::string, std::optional<Special>, std::less<>> specials;
  std::vector<Special> additional;
  bool names_additional = false;                       // the files have a list, maybe an empty one
  std::vector<std::pair<std::string, Special>> extra;  // "image_token" -> token
  std::vector<std::pair<int64_t, AddedToken>> added;   // ascending ids
  bool lists_added = false;  // tokenizer_config.json has added_tokens_decoder, maybe an empty one
  std::vector<int64_t> ids_of_file;  // of `added`: those that added_tokens.json alone gives
  std::optional<bool> add_bos, add_eos, add_prefix_space, legacy, clean_up_spaces;
  Json options = Json::object();  // tokenizer_config.json, for what only some classes know
  std::string file;               // its path
  std::string tokenizer_file = "tokenizer.json";  // the one that goes with these

  std::string special(std::string_view name) const;  // its text, "" where there is none
  JsonNode node() const { return JsonNode(options, file); }
  // Special tokens in the reference's order, each text once.
  std::vector<Special> all_specials() const;
};

TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

// Files older than added_tokens_decoder: tokenizer.json's list says what added tokens are. In any
// case special tokens that are listed are what the list says; added_tokens.json has no say in them.
void use_listed_tokens(const std::vector<std::pair<int64_t, AddedToken>>& of_tokenizer_json,
                       TokenizerConfig& config);
// The "added_tokens" of a tokenizer.json.
std::vector<std::pair<int64_t, AddedToken>> listed_tokens(const JsonNode& root);

// The stages of tokenizer.json with the options of the config's class, and use_listed_tokens();
// added tokens and specials of the config come later.
PipelineParts load_tokenizer_json(const std::filesystem::path& file, TokenizerConfig& config);
// The stages that a tree of tokenizer.json's shape describes; complaints name `file`.
PipelineParts make_parts(const Json& tree, const std::string& file);

}  // namespace tensormill
