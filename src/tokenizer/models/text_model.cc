#include "tokenizer/models/text_model.h"

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"

namespace tensormill {

std::unique_ptr<ModelScratch> TextModel::make_scratch() const {
  return std::make_unique<Scratch>();
}

void TextModel::tokenize(std::string_view piece, bool byte_level, ModelScratch& opaque,
                         std::vector<ModelToken>& out) const {
  auto& scratch = static_cast<Scratch&>(opaque);
  if (piece.empty() || scratch.cache.find(piece, byte_level, out)) return;
  std::vector<ModelToken>& tokens = scratch.tokens;
  tokens.clear();
  if (!byte_level) {
    tokenize_text(piece, scratch, tokens);
  } else {
    std::string& mapped = scratch.mapped;
    mapped.clear();
    for (const char byte : piece) mapped.append(byte_character(static_cast<uint8_t>(byte)));
    tokenize_text(mapped, scratch, tokens);
    size_t at = 0;
    for (ModelToken& token : tokens) {
      if (token.bytes == kSamePlace) continue;
      const size_t bytes = token.bytes;
      token.bytes =
          static_cast<uint32_t>(count_code_points(std::string_view(mapped).substr(at, bytes)));
      at += bytes;
    }
  }
  scratch.cache.store(piece, byte_level, tokens);
  out.insert(out.end(), tokens.begin(), tokens.end());
}

void fail_unknown(std::string_view text, std::string_view why) {
  constexpr size_t kShown = 80;
  size_t shown = 0;
  while (shown < text.size() && shown < kShown) shown += utf8_length(text[shown]);
  throw_error(ErrorKind::kBadRequest, "the tokenizer has no token for \"{}\"{}: {}",
              text.substr(0, shown), shown < text.size() ? "..." : "", why);
}

}  // namespace tensormill
