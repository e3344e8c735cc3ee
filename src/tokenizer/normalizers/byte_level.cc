#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/normalizers/normalizer.h"

namespace tensormill {
namespace {

// Each byte becomes its character of the byte alphabet.
class ByteLevel : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    std::vector<Change> changes;
    changes.reserve(text.text().size());
    for (const char byte : text.text()) {
      size_t begin = 0;
      const char32_t c = next_code_point(byte_character(static_cast<uint8_t>(byte)), begin);
      changes.push_back({c, is_utf8_continuation(byte) ? 1 : 0});
    }
    text.transform(changes);
  }
};

}  // namespace

std::unique_ptr<Normalizer> make_byte_level_normalizer(const JsonNode&) {
  return std::make_unique<ByteLevel>();
}

}  // namespace tensormill
