#include "base/utf8.h"
#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// Words and runs of other visible characters.
class Whitespace : public PreTokenizer {
 public:
  void apply(PreTokenized& text) const override {
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      size_t begin = 0;
      Kind kind = Kind::kSpace;
      for (size_t i = 0; i < piece.text.size();) {
        const size_t at = i;
        const Kind next = kind_of(next_code_point(piece.text, i));
        if (next == kind) continue;
        if (kind != Kind::kSpace) out.push_back(slice(piece, begin, at));
        begin = at;
        kind = next;
      }
      if (kind != Kind::kSpace) out.push_back(slice(piece, begin, piece.text.size()));
    });
  }

 private:
  enum class Kind { kSpace, kWord, kOther };
  static Kind kind_of(char32_t c) {
    return is_white_space(c) ? Kind::kSpace : is_word_character(c) ? Kind::kWord : Kind::kOther;
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void apply(PreTokenized& text) const override {
    Segments segments;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      segments_of(piece.text, is_white_space, segments);
      split_piece(piece, segments, SplitBehavior::kRemoved, out);
    });
  }
};

}  // namespace

std::unique_ptr<PreTokenizer> make_whitespace(const JsonNode&) {
  return std::make_unique<Whitespace>();
}

std::unique_ptr<PreTokenizer> make_whitespace_split(const JsonNode&) {
  return std::make_unique<WhitespaceSplit>();
}

}  // namespace tensormill
