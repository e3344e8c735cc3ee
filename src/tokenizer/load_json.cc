#include "base/json.h"
#include "tokenizer/fast_classes.h"
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

PipelineParts make_parts(const Json& tree, const std::string& file) {
  const JsonNode root(tree, file);
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

std::vector<std::pair<int64_t, AddedToken>> listed_tokens(const JsonNode& root) {
  std::vector<std::pair<int64_t, AddedToken>> tokens;
  const auto list = root.find("added_tokens");
  if (!list) return tokens;
  for (const JsonNode& item : list->items()) {
    tokens.emplace_back(item.at("id").integer(0, kMaxTokenId), read_added_token(item));
  }
  return tokens;
}

static PipelineParts make_file_parts(Json json, const std::string& file, TokenizerConfig& config) {
  const auto written = json.find("normalizer");
  const Json normalizer = written == json.end() ? Json(nullptr) : *written;
  apply_class_options(config, json);
  PipelineParts parts = make_parts(json, file);
  if (!normalizer.is_null() && normalizer != json["normalizer"]) {
    parts.old_normalizer = make_normalizer(JsonNode(normalizer, file, "normalizer"));
  }
  const JsonNode root(json, file);
  use_listed_tokens(listed_tokens(root), config);
  if (const auto padding = root.find("padding")) {
    parts.specials["pad_token"] = padding->text_or("pad_token", "");
  }
  return parts;
}

PipelineParts load_tokenizer_json(const std::filesystem::path& file, TokenizerConfig& config) {
  const std::string text = read_json_text(file);
  if (auto json = parse_with_raw_model(text, file.string())) {
    try {
      return make_file_parts(*std::move(json), file.string(), config);
    } catch (const RawJsonUnclear&) {
    }
  }
  return make_file_parts(parse_json(text, file.string()), file.string(), config);
}

}  // namespace tensormill
