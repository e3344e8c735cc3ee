#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// Words between white space; each punctuation mark is one of its own.
class BertPreTokenizer : public PreTokenizer {
 public:
  void apply(PreTokenized& text) const override {
    Segments segments;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      segments_of(piece.text, is_white_space, segments);
      split_piece(piece, segments, SplitBehavior::kRemoved, out);
    });
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      segments_of(piece.text, is_punctuation, segments);
      split_piece(piece, segments, SplitBehavior::kIsolated, out);
    });
  }
};

}  // namespace

std::unique_ptr<PreTokenizer> make_bert_pre_tokenizer(const JsonNode&) {
  return std::make_unique<BertPreTokenizer>();
}

}  // namespace tensormill
