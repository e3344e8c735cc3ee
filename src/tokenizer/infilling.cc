#include "tokenizer/infilling.h"

#include "base/error.h"
#include "tokenizer/slow/classes.h"

namespace tensormill {

std::optional<Infilling::Texts> Infilling::texts(const EncodeRequest& request) const {
  if (request.pair && request.pair->empty()) return std::nullopt;
  Texts texts{" ", std::string(request.pair.value_or(""))};
  texts.before.append(request.text);
  if (!request.pair) {
    const size_t gap = fill.empty() ? std::string::npos : texts.before.find(fill, 1);
    if (gap == std::string::npos) return std::nullopt;
    texts.behind = texts.before.substr(gap + fill.size());
    texts.before.resize(gap);
    if (texts.behind.find(fill) != std::string::npos) {
      throw_error(ErrorKind::kBadRequest,
                  "the text has more than one \"{}\"; only one gap can be filled", fill);
    }
  }
  if (!texts.behind.empty() && !has_tokens) {
    throw_error(ErrorKind::kBadRequest,
                "the tokenizer names no prefix_token, middle_token or suffix_token to fill a gap "
                "with");
  }
  return texts;
}

std::unique_ptr<Infilling> make_infilling(const TokenizerConfig& config, const IdOf& id_of) {
  if (config.tokenizer_class != "CodeLlamaTokenizer") return nullptr;
  const InfillingTokens tokens = infilling_tokens(config);
  auto infilling = std::make_unique<Infilling>();
  infilling->fill = tokens.fill;
  infilling->has_tokens =
      !tokens.prefix.empty() && !tokens.middle.empty() && !tokens.suffix.empty();
  const Json spaces = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  infilling->normalizer = make_normalizer(JsonNode(spaces, config.file));
  if (!infilling->has_tokens) return infilling;
  for (const bool special : {false, true}) {
    const Json json = infilling_processor(config, special, id_of);
    (special ? infilling->special : infilling->plain) = make_processor(JsonNode(json, config.file));
  }
  return infilling;
}

}  // namespace tensormill
