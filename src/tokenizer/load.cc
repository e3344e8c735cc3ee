#include <set>

#include "base/error.h"
#include "tokenizer/fast_classes.h"
#include "tokenizer/infilling.h"
#include "tokenizer/loaders.h"
#include "tokenizer/slow/classes.h"
#include "tokenizer/slow/refused.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/whisper_text.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

// Are the special tokens those that the class has by itself?
bool has_pegasus_names(const TokenizerConfig& config) {
  const auto is = [&config](std::string_view name, std::string_view text) {
    return !config.specials.contains(name) || config.special(name) == text;
  };
  return is("pad_token", "<pad>") && is("eos_token", "</s>") && is("unk_token", "<unk>");
}

// The reference converts slow files anew although there is a tokenizer.json.
bool converts_anew(const TokenizerConfig& config) {
  if (config.node().flag_or("from_slow", false)) return true;
  if (config.tokenizer_class == "PegasusTokenizer" && !has_pegasus_names(config)) return true;
  const FastClass* row = find_fast_class(config.tokenizer_class);
  return config.add_prefix_space && row != nullptr &&
         row->prefix == FastClass::PrefixSpace::kAsFile;
}

// Adds the config's tokens in the reference's order: those with ids, then special ones.
void add_config_tokens(const TokenizerConfig& config, PipelineParts& parts) {
  const std::vector<TokenizerConfig::Special> specials = config.all_specials();
  const bool takes_listed = config.tokenizer_class != "PegasusTokenizer";  // as the class does
  std::set<std::string> named, known;
  for (const auto& special : specials) named.insert(special.token.content);
  std::vector<AddedToken> tokens;
  for (const auto& [id, listed] : config.added) {
    if (!takes_listed) break;
    tokens.push_back(listed);
    tokens.back().special = listed.special || named.contains(listed.content);
    known.insert(listed.content);
  }
  for (const auto& special : specials) {
    const std::string& text = special.token.content;
    if (special.as_text && (known.contains(text) || parts.added.id_of(text))) continue;
    tokens.push_back(special.token);
    tokens.back().special = true;
  }
  parts.added.add(tokens, *parts.model);
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
    throw_error(
        ErrorKind::kUnsupported,
        "{}: tokenizer class {} is not known without a {}, which is not there; expected one "
        "(save_pretrained of the fast tokenizer writes it) or a class that "
        "docs/tokenizer-files.md lists",
        folder.string(), config.tokenizer_class, config.tokenizer_file);
  }
  return *row;
}

std::unique_ptr<Tokenizer> finish(PipelineParts parts, const TokenizerConfig& config) {
  parts.added.finish((parts.old_normalizer ? parts.old_normalizer : parts.normalizer).get());
  if (!parts.decoder) parts.decoder = make_space_joiner();
  if (config.tokenizer_class == "CLIPTokenizer") {
    parts.decoder = make_word_end_decoder(std::move(parts.decoder), "</w>", " ");
  }
  parts.clean_up_spaces = config.clean_up_spaces.value_or(false);
  for (const auto& [name, special] : config.specials) {
    if (special) parts.specials[name] = special->token.content;
  }
  for (const auto& [name, special] : config.extra) parts.specials[name] = special.token.content;
  auto tokenizer = std::make_unique<Pipeline>(std::move(parts));
  if (config.tokenizer_class != "WhisperTokenizer") return tokenizer;
  return with_whisper_text(std::move(tokenizer));
}

// Also beside a tokenizer.json: the reference's class does more than that file says.
void check_refused(const fs::path& folder, const TokenizerConfig& config) {
  const RefusedClass* row = find_refused_class(config.tokenizer_class);
  if (row == nullptr) return;
  throw_error(ErrorKind::kUnsupported,
              "{}: tokenizer class {} (files: {}) is not supported: {}. If a tokenizer.json gives "
              "the same ids, name PreTrainedTokenizerFast as tokenizer_class in {}",
              folder.string(), row->name, row->files, row->why, config.file);
}

bool has_only_slow_class(const TokenizerConfig& config) {
  const TokenizerClass* row = find_slow_class(config.tokenizer_class);
  return row != nullptr && find_fast_class(row->name) == nullptr;
}

// A padding section names the padding token that nothing else names.
void add_padding_token(PipelineParts& parts, TokenizerConfig& config) {
  const auto named = parts.specials.find("pad_token");
  if (named == parts.specials.end() || named->second.empty()) return;
  TokenizerConfig::Special special;
  special.as_text = true;
  special.token = {.content = named->second, .normalized = false, .special = true};
  config.specials.emplace("pad_token", special);
  parts.specials.erase("pad_token");
}

// With the tokens that a tokenizer.json beside the slow files lists.
void use_tokens_beside(const fs::path& folder, TokenizerConfig& config) {
  const fs::path file = folder / config.tokenizer_file;
  if (config.lists_added || !fs::exists(file)) return use_listed_tokens({}, config);
  const Json json = read_json_file(file);
  use_listed_tokens(listed_tokens(JsonNode(json, file.string())), config);
}

std::unique_ptr<Tokenizer> load_slow_files(const fs::path& folder, TokenizerConfig& config) {
  const TokenizerClass& row = class_of(folder, config);
  use_tokens_beside(folder, config);
  add_class_defaults(row.name, row.specials, config);
  if (!config.clean_up_spaces) config.clean_up_spaces = row.clean_up;
  const SlowFolder files{folder, config};
  if (row.convert == nullptr) return row.make(files);
  Conversion conversion = row.convert(files);
  PipelineParts parts = make_parts(conversion.tree, folder.string());
  conversion.tree = nullptr;
  add_config_tokens(config, parts);
  const IdOf id_of = ids_of(parts, folder);
  Json processor = class_processor(config, id_of);
  if (processor.is_null() && conversion.processor) processor = conversion.processor(id_of);
  if (!processor.is_null()) parts.processor = make_processor(JsonNode(processor, folder.string()));
  parts.infilling = make_infilling(config, ids_of(parts, folder));
  parts.added.splits_special(config.node().flag_or("split_special_tokens", false));
  return finish(std::move(parts), config);
}

}  // namespace

static std::unique_ptr<Tokenizer> load_fast(const fs::path& folder, TokenizerConfig& config) {
  PipelineParts parts = load_tokenizer_json(folder / config.tokenizer_file, config);
  if (const FastClass* row = find_fast_class(config.tokenizer_class)) {
    add_class_defaults(row->name, row->specials, config);
  }
  add_padding_token(parts, config);
  add_config_tokens(config, parts);
  const Json processor = class_processor(config, ids_of(parts, folder));
  if (!processor.is_null()) parts.processor = make_processor(JsonNode(processor, folder.string()));
  parts.infilling = make_infilling(config, ids_of(parts, folder));
  parts.added.splits_special(config.node().flag_or("split_special_tokens", false));
  return finish(std::move(parts), config);
}

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& folder) {
  TokenizerConfig config = read_tokenizer_config(folder);
  check_refused(folder, config);
  const bool has_json = fs::exists(folder / config.tokenizer_file);
  if (has_json && !converts_anew(config) && !has_only_slow_class(config)) {
    return load_fast(folder, config);
  }
  try {
    TokenizerConfig slow = config;
    return load_slow_files(folder, slow);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound || !fs::is_directory(folder)) throw;
    if (has_json) return load_fast(folder, config);
    throw_error(ErrorKind::kNotFound, "{}: no tokenizer.json; and as a {}: {}", folder.string(),
                config.tokenizer_class, error.what());
  }
}

}  // namespace tensormill
