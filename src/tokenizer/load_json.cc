#include "base/json.h"
#include "tokenizer/loaders.h"
#include "tokenizer/raw_json.h"

namespace tensormill {
namespace {

TruncationStrategy read_strategy(const JsonNode& node) {
  const std::string name = node.text();
  if (name == "LongestFirst") return TruncationStrategy::kLongestFirst;
  if (name == "OnlyFirst") return TruncationStrategy::kOnlyFirst;
  if (name == "OnlySecond") return TruncationStrategy::kOnlySecond;
  node.fail("expected LongestFirst, OnlyFirst or OnlySecond");
}

Truncation read_truncation(const JsonNode& node) {
  Truncation result;
  result.max_length = node.at("max_length").integer(0, INT64_MAX);
  result.stride = node.at("stride").integer(0, INT64_MAX);
  result.strategy = read_strategy(node.at("strategy"));
  const auto direction = node.find("direction");
  if (!direction) return result;
  const std::string name = direction->text();
  if (name != "Left" && name != "Right") direction->fail("expected Left or Right");
  result.from_left = name == "Left";
  return result;
}

}  // namespace

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
  if (const auto node = root.find("truncation")) parts.truncation = read_truncation(*node);
  if (const auto node = root.find("added_tokens")) {
    std::vector<AddedToken> tokens;
    for (const JsonNode& item : node->items()) tokens.push_back(read_added_token(item));
    parts.added.add(tokens, *parts.model);
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
