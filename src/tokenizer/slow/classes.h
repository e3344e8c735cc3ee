#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/loaders.h"

namespace tensormill {

// A folder with the files of a tokenizer class that has no tokenizer.json.
struct SlowFolder {
  std::filesystem::path folder;
  const TokenizerConfig& config;

  std::filesystem::path file(std::string_view name) const { return folder / name; }
  bool has(std::string_view name) const { return std::filesystem::exists(file(name)); }
  // An option of tokenizer_config.json; absent or null: `otherwise`.
  bool flag(std::string_view name, bool otherwise) const {
    return config.node().flag_or(name, otherwise);
  }
  std::string text(std::string_view name, std::string_view otherwise) const {
    return config.node().text_or(name, otherwise);
  }
  std::string special(std::string_view name) const { return config.special(name); }
};

// Ids of tokens, asked once all tokens are known; kArtifactInvalid for one that is nowhere.
using IdOf = std::function<int32_t(const std::string& token)>;

// What the reference's fast tokenizer made from slow files looks like.
struct Conversion {
  Json tree = Json::object();  // of tokenizer.json's shape; added tokens of the files alone
  std::function<Json(const IdOf&)> processor;  // its "post_processor"; none: there is none
};

// One tokenizer class of the reference.
struct TokenizerClass {
  std::string_view name;  // without "Fast"
  // "bos=<s> mask=<mask>~ln +=<extra>": special tokens where the files name none, "+" for
  // additional ones. "~" and flags (l, r: strips; n: normalized) where the class makes an
  // AddedToken even of a plain text. "pad=": the class has none, whatever else says.
  std::string_view specials;
  // From slow files to the stages of the fast tokenizer, or a tokenizer that works as the slow
  // class does where there is no fast one; null: has neither.
  Conversion (*convert)(const SlowFolder&) = nullptr;
  std::unique_ptr<Tokenizer> (*make)(const SlowFolder&) = nullptr;
  bool clean_up = false;  // clean_up_tokenization_spaces where the files don't say
};

const TokenizerClass* find_tokenizer_class(std::string_view name);  // null: not known
// The class of a model_type when no file names one; "" where the reference knows none.
std::string_view class_of_model(std::string_view model_type);
// Special tokens that the class `name` has by itself; `specials` as in TokenizerClass.
void add_class_defaults(std::string_view name, std::string_view specials, TokenizerConfig& config);

// The "post_processor" that some classes make anew whatever the files say (languages, bos and eos);
// null for the others.
Json class_processor(const TokenizerConfig& config, const IdOf& id_of);

// What Code Llama's class puts around the two texts of a gap, and what stands for the gap in one
// text; all are "" for other classes, and those that the files set to null.
struct InfillingTokens {
  std::string prefix, middle, suffix, fill;
};
InfillingTokens infilling_tokens(const TokenizerConfig& config);
// The "post_processor" of a pair around a gap, with or without bos and eos.
Json infilling_processor(const TokenizerConfig& config, bool adds_special, const IdOf& id_of);

// The rows of classes without fast tokenizer.
const TokenizerClass* find_slow_class(std::string_view name);

}  // namespace tensormill
