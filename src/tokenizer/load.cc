#include <algorithm>

#include "base/error.h"
#include "tokenizer/loaders.h"
#include "tokenizer/slow/classes.h"
#include "tokenizer/slow/text_steps.h"

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

// Ids for templates, once all tokens are added.
IdOf ids_of(const PipelineParts& parts, const fs::path& folder) {
  return [&parts, folder](const std::string& token) {
    auto id = parts.added.id_of(token);
    if (!id) id = parts.model->id_of(token);
    if (!id) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: the special token \"{}\" that the tokenizer's class puts around texts is "
                  "not in the vocabulary",
                  (folder / "tokenizer_config.json").string(), token);
    }
    return *id;
  };
}

// What files say to whom no class is named.
std::string guess_from_files(const fs::path& folder, const TokenizerConfig& config) {
  if (fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    return config.special("cls_token").empty() ? "GPT2Tokenizer" : "RobertaTokenizer";
  }
  if (fs::exists(folder / "tokenizer.model")) return "LlamaTokenizer";
  if (!fs::is_directory(folder)) {
    throw_error(ErrorKind::kNotFound, "{}: no such folder", folder.string());
  }
  throw_error(ErrorKind::kNotFound,
              "{}: no tokenizer.json, and neither tokenizer_config.json (tokenizer_class) nor "
              "config.json (tokenizer_class, model_type) names the class of its other files",
              folder.string());
}

const TokenizerClass& class_of(const fs::path& folder, TokenizerConfig& config) {
  const bool named = !config.tokenizer_class.empty();
  if (!named) config.tokenizer_class = guess_from_files(folder, config);
  const TokenizerClass* row = find_tokenizer_class(config.tokenizer_class);
  if (row == nullptr || (row->convert == nullptr && row->make == nullptr)) {
    throw_error(ErrorKind::kUnsupported,
                "{}: tokenizer class {} without a tokenizer.json is not supported", folder.string(),
                config.tokenizer_class);
  }
  return *row;
}

std::unique_ptr<Tokenizer> finish(PipelineParts parts, const TokenizerConfig& config) {
  parts.added.finish(parts.normalizer.get());
  if (!parts.decoder) parts.decoder = make_space_joiner();
  if (config.tokenizer_class == "CLIPTokenizer") {
    parts.decoder = make_word_end_decoder(std::move(parts.decoder), "</w>", " ");
  }
  parts.clean_up_spaces = config.clean_up_spaces.value_or(false);
  for (const auto& [name, special] : config.specials) {
    if (special) parts.specials[name] = special->token.content;
  }
  return std::make_unique<Pipeline>(std::move(parts));
}

std::unique_ptr<Tokenizer> load_slow_files(const fs::path& folder, TokenizerConfig& config) {
  const TokenizerClass& row = class_of(folder, config);
  add_class_defaults(row, true, config);
  const SlowFolder files{folder, config};
  if (row.convert == nullptr) return row.make(files);
  Conversion conversion = row.convert(files);
  PipelineParts parts = make_parts(conversion.tree, folder.string());
  conversion.tree = nullptr;
  if (config.tokenizer_class == "PegasusTokenizer") config.added.clear();  // as the class does
  add_config_tokens(config, parts);
  const IdOf id_of = ids_of(parts, folder);
  Json processor = class_processor(config, id_of);
  if (processor.is_null() && conversion.processor) processor = conversion.processor(id_of);
  if (!processor.is_null()) parts.processor = make_processor(JsonNode(processor, folder.string()));
  return finish(std::move(parts), config);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& folder) {
  TokenizerConfig config = read_tokenizer_config(folder);
  const fs::path json = folder / "tokenizer.json";
  // A prefix space other than the file's is only had by converting anew.
  const bool convert =
      is_llama_class(config) && config.add_prefix_space && fs::exists(folder / "tokenizer.model");
  if (convert) return load_slow_files(folder, config);
  if (!fs::exists(json)) {
    try {
      return load_slow_files(folder, config);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kNotFound || !fs::is_directory(folder)) throw;
      throw_error(ErrorKind::kNotFound, "{}: no tokenizer.json; and as a {}: {}", folder.string(),
                  config.tokenizer_class, error.what());
    }
  }
  if (const TokenizerClass* row = find_tokenizer_class(config.tokenizer_class)) {
    add_class_defaults(*row, false, config);
  }
  PipelineParts parts = load_tokenizer_json(json, config);
  add_config_tokens(config, parts);
  const Json processor = class_processor(config, ids_of(parts, folder));
  if (!processor.is_null()) parts.processor = make_processor(JsonNode(processor, folder.string()));
  return finish(std::move(parts), config);
}

}  // namespace tensormill
