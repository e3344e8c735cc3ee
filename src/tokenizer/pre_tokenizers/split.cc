#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace tensormill {
namespace {

class Split : public PreTokenizer {
 public:
  explicit Split(const JsonNode& node)
      : pattern_(node.at("pattern")),
        behavior_(split_behavior(node.at("behavior"))),
        invert_(node.at("invert").flag()) {}

  void apply(PreTokenized& text) const override {
    ByteRanges matches;
    Segments segments;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      pattern_.find_all(piece.text, matches);
      segments_of(piece.text, matches, segments);
      if (invert_) {
        for (Segment& segment : segments) segment.match = !segment.match;
      }
      split_piece(piece, segments, behavior_, out);
    });
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_split(const JsonNode& node) {
  return std::make_unique<Split>(node);
}

}  // namespace tensormill
