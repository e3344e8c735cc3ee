#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// Words and runs of other visible characters.
class Whitespace : public PreTokenizer {
 public:
  Whitespace() : regex_("\\w+|[^\\w\\s]+", RegexFlavour::kRust, "Whitespace") {}

  void apply(PreTokenized& text) const override {
    ByteRanges matches;
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      regex_.find_all(piece.text, matches);
      for (const auto& [begin, end] : matches) out.push_back(slice(piece, begin, end));
    });
  }

 private:
  Regex regex_;
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
