#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/loaders.h"
#include "tokenizer/slow/classes.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSpecialNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

std::optional<Json> read_if_there(const fs::path& file) {
  if (!fs::exists(file)) return std::nullopt;
  Json json = read_json_file(file);
  JsonNode(json, file.string()).expect_object();
  return json;
}

// "<s>" or {"content": "<s>", ...}, which is special itself in special_tokens_map.json.
TokenizerConfig::Special read_special(const JsonNode& node, bool of_map) {
  if (!node.value().is_string()) {
    AddedToken token = read_added_token(node);
    if (of_map) {
      token.special = true;
      token.normalized = node.flag_or("normalized", false);
    }
    return {std::move(token), false, of_map};
  }
  AddedToken token;
  token.content = node.text();
  token.special = true;
  token.normalized = false;
  return {std::move(token), true, of_map};
}

void read_specials(const JsonNode& root, bool of_map, TokenizerConfig& config) {
  for (const char* name : kSpecialNames) {
    if (!root.value().contains(name)) continue;
    const auto node = root.find(name);
    config.specials[name] = std::nullopt;
    if (node) config.specials[name] = read_special(*node, of_map);
  }
  const auto list = root.find("additional_special_tokens");
  if (!list) return;
  config.names_additional = true;
  for (const JsonNode& item : list->items()) {
    TokenizerConfig::Special special = read_special(item, of_map);
    const auto same = [&](const TokenizerConfig::Special& known) {
      return known.as_text == special.as_text && known.token == special.token;
    };
    if (std::none_of(config.additional.begin(), config.additional.end(), same)) {
      config.additional.push_back(std::move(special));
    }
  }
}

// {"image_token": "<image>", ...}; a list names none.
void read_extra(const JsonNode& node, TokenizerConfig& config) {
  if (!node.value().is_object()) return;
  for (const auto& [name, value] : node.value().items()) {
    config.extra.emplace_back(name, read_special(node.at(name), false));
  }
}

void read_main(const JsonNode& root, TokenizerConfig& config) {
  config.tokenizer_class = root.text_or("tokenizer_class", "");
  read_specials(root, false, config);
  if (const auto extra = root.find("extra_special_tokens")) read_extra(*extra, config);
  const auto optional_flag = [&](const char* key) -> std::optional<bool> {
    const auto node = root.find(key);
    if (!node) return std::nullopt;
    return node->flag();
  };
  config.add_bos = optional_flag("add_bos_token");
  config.add_eos = optional_flag("add_eos_token");
  config.add_prefix_space = optional_flag("add_prefix_space");
  config.legacy = optional_flag("legacy");
  config.clean_up_spaces = optional_flag("clean_up_tokenization_spaces");
  const auto added = root.find("added_tokens_decoder");
  config.lists_added = added.has_value();
  if (!added) return;
  added->expect_object();
  for (const auto& [key, value] : added->value().items()) {
    const JsonNode node = added->at(key);
    if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos) {
      node.fail("expected a token id as key");
    }
    config.added.emplace_back(std::stoll(key), read_added_token(node));
  }
}

void read_added_file(const JsonNode& root, TokenizerConfig& config) {
  // The reference doesn't look into the objects of tokenizer_config.json here.
  std::set<std::string> named;
  for (const auto& special : config.all_specials()) {
    if (special.as_text || special.of_map) named.insert(special.token.content);
  }
  for (const auto& [content, id] : root.value().items()) {
    AddedToken token;
    token.content = content;
    token.special = named.contains(content);
    token.normalized = !token.special;
    const JsonNode node(id, root.file(), content);
    config.added.emplace_back(node.integer(0, kMaxTokenId), std::move(token));
    config.ids_of_file.push_back(config.added.back().first);
  }
}

std::string guess_class(const fs::path& folder) {
  const auto json = read_if_there(folder / "config.json");
  if (!json) return "";
  const JsonNode root(*json, (folder / "config.json").string());
  const auto named = root.find("tokenizer_class");
  if (named) return named->text();
  return std::string(class_of_model(root.text_or("model_type", "")));
}

}  // namespace

std::string TokenizerConfig::special(std::string_view name) const {
  const auto found = specials.find(name);
  return found == specials.end() || !found->second ? "" : found->second->token.content;
}

std::vector<TokenizerConfig::Special> TokenizerConfig::all_specials() const {
  std::vector<Special> all;
  std::set<std::string> seen;
  const auto add = [&](const Special& special) {
    if (!special.token.content.empty() && seen.insert(special.token.content).second) {
      all.push_back(special);
    }
  };
  for (const char* name : kSpecialNames) {
    const auto found = specials.find(name);
    if (found != specials.end() && found->second) add(*found->second);
  }
  const std::set<std::string> named = seen;  // a list may name a text twice, in two ways
  for (const Special& special : additional) {
    if (!named.contains(special.token.content)) all.push_back(special);
    seen.insert(special.token.content);
  }
  for (const auto& [name, special] : extra) add(special);
  return all;
}

void use_listed_tokens(const std::vector<std::pair<int64_t, AddedToken>>& of_tokenizer_json,
                       TokenizerConfig& config) {
  if (!config.lists_added) {
    std::map<int64_t, AddedToken> all(config.added.begin(), config.added.end());
    for (const auto& [id, token] : of_tokenizer_json) {
      all[id] = token;
      std::erase(config.ids_of_file, id);
    }
    config.added.assign(all.begin(), all.end());
  }
  const auto is_of_file = [&config](int64_t id) {
    return std::find(config.ids_of_file.begin(), config.ids_of_file.end(), id) !=
           config.ids_of_file.end();
  };
  for (auto& [name, special] : config.specials) {
    if (!special) continue;
    for (const auto& [id, token] : config.added) {
      if (token.content == special->token.content && !is_of_file(id)) special = {.token = token};
    }
  }
}

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
  TokenizerConfig config;
  const fs::path main = folder / "tokenizer_config.json";
  config.file = main.string();
  if (auto json = read_if_there(main)) {
    config.options = std::move(*json);
    read_main(config.node(), config);
  }
  if (config.tokenizer_class.empty()) config.tokenizer_class = guess_class(folder);
  if (config.tokenizer_class.ends_with("Fast")) {
    config.tokenizer_class.resize(config.tokenizer_class.size() - 4);
  }
  if (!config.lists_added) {  // files older than that key
    const fs::path map = folder / "special_tokens_map.json", added = folder / "added_tokens.json";
    if (const auto json = read_if_there(map))
      read_specials(JsonNode(*json, map.string()), true, config);
    if (const auto json = read_if_there(added)) {
      read_added_file(JsonNode(*json, added.string()), config);
    }
  }
  std::stable_sort(config.added.begin(), config.added.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return config;
}

}  // namespace tensormill
