#include "base/json.h"
#include "tokenizer/loaders.h"

namespace tensormill {

PipelineParts make_parts(const Json& tree, const std::string& file) {
  const JsonNode root(tree, file);
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
  Json json = read_json_file(file);
  const JsonNode root(json, file.string());
  // Classes set the prefix space of a ByteLevel that stands alone.
  if (const auto alone = root.find("pre_tokenizer");
      alone && alone->text_or("type", "") == "ByteLevel") {
    json["pre_tokenizer"]["add_prefix_space"] = config.add_prefix_space.value_or(false);
  }
  return make_parts(json, file.string());
}

}  // namespace tensormill
