#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace tensormill {
namespace {

const Regex& gpt2_pattern() {
  static const Regex regex(
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      "ByteLevel");
  return regex;
}

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  void apply(PreTokenized& text) const override {
    ByteRanges matches;
    Segments segments;
    text.split([&](const Piece& given, std::vector<Piece>& out) {
      Piece piece = given;
      if (add_prefix_space_ && !piece.text.starts_with(' ')) {
        Normalized prefixed = text.open(piece);
        prefixed.prepend(" ");
        piece = text.keep(std::move(prefixed));
      }
      if (!use_regex_) {
        out.push_back(piece);
        return;
      }
      gpt2_pattern().find_all(piece.text, matches);
      segments_of(piece.text, matches, segments);
      split_piece(piece, segments, SplitBehavior::kIsolated, out);
    });
    text.set_byte_level();
  }

 private:
  bool add_prefix_space_, use_regex_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_byte_level_splitter(const JsonNode& node) {
  return std::make_unique<ByteLevel>(node.at("add_prefix_space").flag(),
                                     node.flag_or("use_regex", true));
}

}  // namespace tensormill
