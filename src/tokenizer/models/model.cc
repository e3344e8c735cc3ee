#include "tokenizer/models/model.h"

#include "base/json.h"
#include "tokenizer/factory.h"
#include "tokenizer/raw_json.h"

namespace tensormill {
namespace {

// Early files don't name the type.
std::unique_ptr<TokenModel> make_untyped(const JsonNode& node) {
  const auto has = [&](const char* key) { return node.find(key).has_value(); };
  const auto vocab = node.find("vocab");
  const bool map = vocab && holds_object(vocab->value());
  if (map && has("merges")) return make_bpe(node);
  if (map && has("unk_token")) {
    const bool pieces = has("continuing_subword_prefix") && has("max_input_chars_per_word");
    return pieces ? make_word_piece(node) : make_word_level(node);
  }
  if (vocab && holds_array(vocab->value())) return make_unigram(node);
  node.fail(
      "\"type\" is missing, and \"vocab\" with \"merges\" or \"unk_token\" or a \"vocab\" that is "
      "a list would tell it");
}

}  // namespace

std::unique_ptr<TokenModel> make_model(const JsonNode& node) {
  static constexpr Factory<TokenModel> kList[] = {
      {"BPE", make_bpe},
      {"Unigram", make_unigram},
      {"WordLevel", make_word_level},
      {"WordPiece", make_word_piece},
  };
  if (!node.find("type")) return make_untyped(node);
  return make_stage<TokenModel>(node, kList);
}

}  // namespace tensormill
