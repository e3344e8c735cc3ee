#include <algorithm>

#include "base/error.h"
#include "tokenizer/loaders.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

bool is_llama_class(const TokenizerConfig& config) {
  return config.tokenizer_class == "LlamaTokenizer" ||
         config.tokenizer_class == "CodeLlamaTokenizer";
}

// Adds the config's tokens in the reference's order: those with ids, then special ones that are
// still missing.
void add_config_tokens(const TokenizerConfig& config, PipelineParts& parts) {
  const auto is_named = [&](const std::string& text) {
    const auto same = [&](const TokenizerConfig::Special& s) { return s.token.content == text; };
    return std::any_of(config.additional.begin(), config.additional.end(), same) ||
           std::any_of(config.specials.begin(), config.specials.end(),
                       [&](const auto& item) { return item.second && same(*item.second); });
  };
  for (const auto& [id, listed] : config.added) {
    AddedToken token = listed;
    token.special = token.special || is_named(token.content);
    parts.added.add(token, *parts.model);
  }
  const auto add_special = [&](const TokenizerConfig::Special& special) {
    const auto same = [&](const auto& item) {
      return item.second.content == special.token.content;
    };
    const bool listed = std::any_of(config.added.begin(), config.added.end(), same);
    const bool known = listed || (special.as_text && parts.added.id_of(special.token.content));
    if (known) return;
    AddedToken token = special.token;
    token.special = true;
    parts.added.add(token, *parts.model);
  };
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    const auto found = config.specials.find(name);
    if (found != config.specials.end() && found->second) add_special(*found->second);
  }
  for (const auto& special : config.additional) add_special(special);
}

int32_t id_of_special(const TokenizerConfig& config, const PipelineParts& parts, const char* name,
                      const char* flag, const fs::path& folder) {
  const std::string text = config.special(name);
  auto id = parts.added.id_of(text);
  if (!id) id = parts.model->id_of(text);
  if (!id) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: {} is true but {} (\"{}\") is not in the vocabulary",
                (folder / "tokenizer_config.json").string(), flag, name, text);
  }
  return *id;
}

// The class makes its own template from bos and eos, whatever tokenizer.json says.
void set_bos_eos_template(const TokenizerConfig& config, const fs::path& folder,
                          PipelineParts& parts) {
  std::vector<int32_t> before, after;
  if (config.add_bos.value_or(true)) {
    before.push_back(id_of_special(config, parts, "bos_token", "add_bos_token", folder));
  }
  if (config.add_eos.value_or(false)) {
    after.push_back(id_of_special(config, parts, "eos_token", "add_eos_token", folder));
  }
  parts.processor = make_template(std::move(before), std::move(after));
}

PipelineParts load_parts(const fs::path& folder, TokenizerConfig& config) {
  const fs::path json = folder / "tokenizer.json", model = folder / "tokenizer.model";
  // A prefix space other than the file's is only had by converting anew.
  const bool convert = is_llama_class(config) && config.add_prefix_space && fs::exists(model);
  if (fs::exists(json) && !convert) return load_tokenizer_json(json, config);
  if (fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    return load_vocab_and_merges(folder, config);
  }
  if (fs::exists(model)) return load_sentencepiece(model, config);
  if (!fs::is_directory(folder)) {
    throw_error(ErrorKind::kNotFound, "{}: no such folder", folder.string());
  }
  throw_error(ErrorKind::kNotFound,
              "{}: no tokenizer.json, no vocab.json with merges.txt, no tokenizer.model",
              folder.string());
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& folder) {
  TokenizerConfig config = read_tokenizer_config(folder);
  PipelineParts parts = load_parts(folder, config);
  add_config_tokens(config, parts);
  if (is_llama_class(config)) set_bos_eos_template(config, folder, parts);
  parts.added.finish(parts.normalizer.get());
  if (!parts.decoder) parts.decoder = make_space_joiner();
  parts.clean_up_spaces = config.clean_up_spaces;
  for (const auto& [name, special] : config.specials) {
    if (special) parts.specials[name] = special->token.content;
  }
  return std::make_unique<Pipeline>(std::move(parts));
}

}  // namespace tensormill
