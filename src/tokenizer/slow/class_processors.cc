#include "base/error.h"
#include "tokenizer/slow/classes.h"
#include "tokenizer/slow/stages.h"

namespace tensormill {
namespace {

std::string source_language(const TokenizerConfig& config, std::string_view otherwise) {
  return config.node().text_or("src_lang", otherwise);
}

// [bos] text [eos], as LLaMA's classes make it.
Json bos_eos_json(const TokenizerConfig& config, bool adds_bos, const IdOf& id_of) {
  const bool bos = config.add_bos.value_or(adds_bos), eos = config.add_eos.value_or(false);
  Words single, pair;
  for (const char* text : {"$A", "$B:1"}) {
    const std::string type = text[1] == 'A' ? "" : ":1";
    if (bos) pair.push_back(config.special("bos_token") + type);
    pair.emplace_back(text);
    if (eos) pair.push_back(config.special("eos_token") + type);
    if (type.empty()) single = pair;
  }
  return template_json(single, pair, id_of);
}

// IdOf that says for a language that is no token where it comes from.
IdOf with_language(const TokenizerConfig& config, const std::string& language, const IdOf& id_of) {
  return [&config, language, &id_of](const std::string& token) {
    if (token != language) return id_of(token);
    try {
      return id_of(token);
    } catch (const Error&) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: src_lang: \"{}\" is no token of the vocabulary; expected a language of this "
                  "model",
                  config.file, language);
    }
  };
}

Json language_json(const TokenizerConfig& config, const std::string& language, bool at_end,
                   const IdOf& given) {
  const IdOf id_of = with_language(config, language, given);
  const std::string eos = config.special("eos_token");
  if (at_end) return template_json({"$A", eos, language}, {"$A", "$B", eos, language}, id_of);
  return template_json({language, "$A", eos}, {language, "$A", "$B", eos}, id_of);
}

}  // namespace

Json class_processor(const TokenizerConfig& config, const IdOf& id_of) {
  const std::string& name = config.tokenizer_class;
  if (name == "LlamaTokenizer" || name == "CodeLlamaTokenizer" || name == "GemmaTokenizer" ||
      name == "CohereTokenizer") {
    return bos_eos_json(config, true, id_of);
  }
  if (name == "GPTNeoXTokenizer") return bos_eos_json(config, false, id_of);
  if (name == "MBartTokenizer")
    return language_json(config, source_language(config, "en_XX"), true, id_of);
  if (name == "MBart50Tokenizer")
    return language_json(config, source_language(config, "en_XX"), false, id_of);
  if (name == "NllbTokenizer") {
    return language_json(config, source_language(config, "eng_Latn"),
                         config.node().flag_or("legacy_behaviour", false), id_of);
  }
  if (name == "SeamlessM4TTokenizer") {
    std::string language = source_language(config, "eng");
    if (language.find("__") == std::string::npos) language = "__" + language + "__";
    return language_json(config, language, false, id_of);
  }
  return nullptr;
}

Json infilling_processor(const TokenizerConfig& config, bool adds_special, const IdOf& id_of) {
  const InfillingTokens tokens = infilling_tokens(config);
  Words pair;
  if (adds_special && config.add_bos.value_or(true)) pair.push_back(config.special("bos_token"));
  for (const std::string& word :
       {tokens.prefix, std::string("$A"), tokens.suffix, std::string("$B"), tokens.middle}) {
    pair.push_back(word);
  }
  if (adds_special && config.add_eos.value_or(false)) pair.push_back(config.special("eos_token"));
  return template_json({"$A"}, pair, id_of);
}

}  // namespace tensormill
