#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

class Digits : public PreTokenizer {
 public:
  explicit Digits(bool individual)
      : behavior_(individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous) {}

  void apply(PreTokenized& text) const override {
    Segments segments;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      segments_of(piece.text, is_number, segments);
      split_piece(piece, segments, behavior_, out);
    });
  }

 private:
  SplitBehavior behavior_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_digits(const JsonNode& node) {
  return std::make_unique<Digits>(node.at("individual_digits").flag());
}

}  // namespace tensormill
