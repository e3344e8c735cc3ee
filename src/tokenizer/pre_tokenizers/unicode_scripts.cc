#include "base/utf8.h"
#include "tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// Cuts where the script changes. As in the reference, text before the first character that has a
// script is lost.
class UnicodeScripts : public PreTokenizer {
 public:
  void apply(PreTokenized& text) const override {
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      uint8_t last = 0;
      size_t begin = std::string_view::npos;
      for (size_t i = 0; i < piece.text.size();) {
        const size_t at = i;
        const uint8_t script = script_of(next_code_point(piece.text, i));
        if (script == 0 || script == last) continue;
        if (begin != std::string_view::npos) out.push_back(slice(piece, begin, at));
        begin = at;
        last = script;
      }
      if (begin != std::string_view::npos) out.push_back(slice(piece, begin, piece.text.size()));
    });
  }
};

}  // namespace

std::unique_ptr<PreTokenizer> make_unicode_scripts(const JsonNode&) {
  return std::make_unique<UnicodeScripts>();
}

}  // namespace tensormill
