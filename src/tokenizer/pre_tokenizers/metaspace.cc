#include "base/utf8.h"
#include "tokenizer/metaspace_scheme.h"
#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace tensormill {
namespace {

class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const JsonNode& node)
      : scheme_(prepend_scheme(node)), split_(node.flag_or("split", true)) {
    append_utf8(replacement_, node.at("replacement").character());
  }

  bool needs_places() const override { return scheme_ == PrependScheme::kFirst; }

  void apply(PreTokenized& text) const override {
    const Pattern space(std::string(" ")), replacement(replacement_);
    ByteRanges matches;
    Segments segments;
    text.split([&](const Piece& given, std::vector<Piece>& out) {
      Normalized changed = text.open(given);
      space.find_all(changed.text(), matches);
      changed.replace(matches, replacement_);
      const bool wanted = scheme_ == PrependScheme::kAlways ||
                          (scheme_ == PrependScheme::kFirst && changed.begin() == 0);
      if (wanted && !changed.text().starts_with(replacement_)) changed.prepend(replacement_);
      const Piece piece = text.keep(std::move(changed));
      if (!split_) {
        out.push_back(piece);
        return;
      }
      replacement.find_all(piece.text, matches);
      segments_of(piece.text, matches, segments);
      split_piece(piece, segments, SplitBehavior::kMergedWithNext, out);
    });
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_metaspace_splitter(const JsonNode& node) {
  return std::make_unique<Metaspace>(node);
}

}  // namespace tensormill
