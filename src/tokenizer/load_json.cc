#include "base/json.h"
#include "tokenizer/loaders.h"
#include "tokenizer/raw_json.h"

namespace tensormill {

static PipelineParts make_parts(Json json, const std::filesystem::path& file,
                                TokenizerConfig& config) {
  const JsonNode root(json, file.string());
  // Classes set the prefix space of a ByteLevel that stands alone.
  if (const auto alone = root.find("pre_tokenizer");
      alone && alone->text_or("type", "") == "ByteLevel") {
    json["pre_tokenizer"]["add_prefix_space"] = config.add_prefix_space.value_or(false);
  }
  PipelineParts parts;
  parts.model = make_model(root.at("model"));
  if (const auto node = root.find("normalizer")) parts.normalizer = make_normalizer(*node);
  if (const auto node = root.find("pre_tokenizer")) parts.pre_tokenizer = make_pre_tokenizer(*node);
  if (const auto node = root.find("post_processor")) parts.processor = make_processor(*node);
  if (const auto node = root.find("decoder")) parts.decoder = make_decoder(*node);
  if (const auto node = root.find("added_tokens")) {
    for (const JsonNode& item : node->items()) {
      const AddedToken token = read_added_token(item);
      parts.added.add(token, *parts.model);
    }
  }
  return parts;
}

PipelineParts load_tokenizer_json(const std::filesystem::path& file, TokenizerConfig& config) {
  const std::string text = read_json_text(file);
  if (auto json = parse_with_raw_model(text, file.string())) {
    try {
      return make_parts(*std::move(json), file, config);
    } catch (const RawJsonUnclear&) {
    }
  }
  return make_parts(parse_json(text, file.string()), file, config);
}

}  // namespace tensormill
