#include <algorithm>

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

// "<s>" or {"content": "<s>", ...}.
TokenizerConfig::Special read_special(const JsonNode& node) {
  if (!node.value().is_string()) return {read_added_token(node), false};
  AddedToken token;
  token.content = node.text();
  token.special = true;
  token.normalized = false;
  return {std::move(token), true};
}

void read_specials(const JsonNode& root, TokenizerConfig& config) {
  for (const char* name : kSpecialNames) {
    if (!root.value().contains(name)) continue;
    const auto node = root.find(name);
    config.specials[name] = std::nullopt;
    if (node) config.specials[name] = read_special(*node);
  }
  const auto list = root.find("additional_special_tokens");
  if (!list) return;
  config.names_additional = true;
  for (const JsonNode& item : list->items()) {
    TokenizerConfig::Special special = read_special(item);
    const auto same = [&](const TokenizerConfig::Special& known) {
      return known.token.content == special.token.content;
    };
    if (std::none_of(config.additional.begin(), config.additional.end(), same)) {
      config.additional.push_back(std::move(special));
    }
  }
}

void read_main(const JsonNode& root, TokenizerConfig& config) {
  config.tokenizer_class = root.text_or("tokenizer_class", "");
  read_specials(root, config);
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
  const auto is_special = [&](const std::string& text) {
    const auto same = [&](const TokenizerConfig::Special& s) { return s.token.content == text; };
    return std::any_of(config.additional.begin(), config.additional.end(), same) ||
           std::any_of(config.specials.begin(), config.specials.end(),
                       [&](const auto& item) { return item.second && same(*item.second); });
  };
  for (const auto& [content, id] : root.value().items()) {
    AddedToken token;
    token.content = content;
    token.special = is_special(content);
    token.normalized = !token.special;
    const JsonNode node(id, root.file(), content);
    config.added.emplace_back(node.integer(0, kMaxTokenId), std::move(token));
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
  if (!config.node().find("added_tokens_decoder")) {  // files older than that key
    const fs::path map = folder / "special_tokens_map.json", added = folder / "added_tokens.json";
    if (const auto json = read_if_there(map)) read_specials(JsonNode(*json, map.string()), config);
    if (const auto json = read_if_there(added)) {
      read_added_file(JsonNode(*json, added.string()), config);
    }
  }
  std::stable_sort(config.added.begin(), config.added.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return config;
}

}  // namespace tensormill
