#include "base/utf8.h"
#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace tensormill {
namespace {

class CharDelimiterSplit : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(std::string delimiter) : pattern_(std::move(delimiter)) {}

  void apply(PreTokenized& text) const override {
    ByteRanges matches;
    Segments segments;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      pattern_.find_all(piece.text, matches);
      segments_of(piece.text, matches, segments);
      split_piece(piece, segments, SplitBehavior::kRemoved, out);
    });
  }

 private:
  Pattern pattern_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_char_delimiter_split(const JsonNode& node) {
  std::string delimiter;
  append_utf8(delimiter, node.at("delimiter").character());
  return std::make_unique<CharDelimiterSplit>(std::move(delimiter));
}

}  // namespace tensormill
