#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/loaders.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSpecialNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

// The class that a model_type has when no file names one.
constexpr std::pair<std::string_view, std::string_view> kClassOfModel[] = {
    {"bart", "BartTokenizer"},     {"gpt2", "GPT2Tokenizer"},
    {"gpt_neo", "GPT2Tokenizer"},  {"gpt_neox", "GPTNeoXTokenizer"},
    {"gptj", "GPT2Tokenizer"},     {"llama", "LlamaTokenizer"},
    {"mistral", "LlamaTokenizer"}, {"mixtral", "LlamaTokenizer"},
    {"opt", "GPT2Tokenizer"},      {"qwen2", "Qwen2Tokenizer"},
    {"qwen3", "Qwen2Tokenizer"},   {"roberta", "RobertaTokenizer"},
};

struct ClassDefault {
  std::string_view name, bos, eos, unk, pad;
};
constexpr ClassDefault kClassDefaults[] = {
    {"CodeLlamaTokenizer", "<s>", "</s>", "<unk>", ""},
    {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", ""},
    {"GPTNeoXTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", ""},
    {"LlamaTokenizer", "<s>", "</s>", "<unk>", ""},
    {"Qwen2Tokenizer", "", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"},
    {"RobertaTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
    {"BartTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
};

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
  if (const auto list = root.find("additional_special_tokens")) {
    for (const JsonNode& item : list->items()) config.additional.push_back(read_special(item));
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
  config.clean_up_spaces = root.flag_or("clean_up_tokenization_spaces", false);
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
  const std::string type = root.text_or("model_type", "");
  for (const auto& [model, name] : kClassOfModel) {
    if (model == type) return std::string(name);
  }
  return "";
}

void add_class_defaults(TokenizerConfig& config) {
  for (const ClassDefault& row : kClassDefaults) {
    if (row.name != config.tokenizer_class) continue;
    const std::pair<const char*, std::string_view> values[] = {{"bos_token", row.bos},
                                                               {"eos_token", row.eos},
                                                               {"unk_token", row.unk},
                                                               {"pad_token", row.pad}};
    for (const auto& [name, text] : values) {
      if (text.empty() || config.specials.contains(name)) continue;
      AddedToken token;
      token.content = text;
      token.special = true;
      token.normalized = false;
      config.specials[name] = TokenizerConfig::Special{std::move(token), true};
    }
  }
}

}  // namespace

std::string TokenizerConfig::special(std::string_view name) const {
  const auto found = specials.find(name);
  return found == specials.end() || !found->second ? "" : found->second->token.content;
}

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
  TokenizerConfig config;
  const fs::path main = folder / "tokenizer_config.json";
  if (const auto json = read_if_there(main)) read_main(JsonNode(*json, main.string()), config);
  if (config.tokenizer_class.empty()) config.tokenizer_class = guess_class(folder);
  if (config.tokenizer_class.ends_with("Fast")) {
    config.tokenizer_class.resize(config.tokenizer_class.size() - 4);
  }
  if (config.added.empty()) {  // files older than added_tokens_decoder
    const fs::path map = folder / "special_tokens_map.json", added = folder / "added_tokens.json";
    if (const auto json = read_if_there(map)) read_specials(JsonNode(*json, map.string()), config);
    if (const auto json = read_if_there(added)) {
      read_added_file(JsonNode(*json, added.string()), config);
    }
  }
  add_class_defaults(config);
  std::stable_sort(config.added.begin(), config.added.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return config;
}

}  // namespace tensormill
