#include "tokenizer/models/word_level.h"

#include <fmt/format.h>

namespace tensormill {

void WordLevel::tokenize_text(std::string_view text, Scratch&, std::vector<ModelToken>& out) const {
  int32_t id = vocabulary_.find(text);
  if (id < 0) id = unk_id_;
  if (id < 0) {
    fail_unknown(text, fmt::format("unk_token \"{}\" is not in the vocabulary", unk_token_));
  }
  out.push_back({id, static_cast<uint32_t>(text.size())});
}

std::unique_ptr<TokenModel> make_word_level(const JsonNode& node) {
  return std::make_unique<WordLevel>(Vocabulary(node.at("vocab")), node.at("unk_token").text());
}

}  // namespace tensormill
