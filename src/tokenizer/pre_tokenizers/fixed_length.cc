#include "base/utf8.h"
#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace tensormill {
namespace {

constexpr int64_t kDefaultLength = 5;

// Pieces of so many code points.
class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(int64_t length) : length_(length) {}

  void apply(PreTokenized& text) const override {
    text.split([&](const Piece& piece, std::vector<Piece>& out) {
      size_t begin = 0;
      int64_t count = 0;
      for (size_t i = 0; i < piece.text.size();) {
        i += utf8_length(piece.text[i]);
        if (++count < length_ && i < piece.text.size()) continue;
        out.push_back(slice(piece, begin, i));
        begin = i;
        count = 0;
      }
    });
  }

 private:
  int64_t length_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_fixed_length(const JsonNode& node) {
  const auto length = node.find("length");
  return std::make_unique<FixedLength>(length ? length->integer(1, INT32_MAX) : kDefaultLength);
}

}  // namespace tensormill
