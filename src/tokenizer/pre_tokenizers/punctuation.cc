#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(SplitBehavior behavior) : behavior_(behavior) {}

  void apply(PreTokenized& text) const override {
    Segments segments;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      segments_of(piece.text, is_punctuation, segments);
      split_piece(piece, segments, behavior_, out);
    });
  }

 private:
  SplitBehavior behavior_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_punctuation(const JsonNode& node) {
  const auto behavior = node.find("behavior");
  return std::make_unique<Punctuation>(behavior ? split_behavior(*behavior)
                                                : SplitBehavior::kIsolated);
}

}  // namespace tensormill
