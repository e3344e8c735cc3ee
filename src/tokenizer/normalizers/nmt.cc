#include "tokenizer/normalizers/normalizer.h"

namespace tensormill {
namespace {

// As sentencepiece's rules of this name: controls vanish, other blanks become spaces.
class Nmt : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    text.filter([](char32_t c) { return !vanishes(c); });
    text.map([](char32_t c) { return is_blank(c) ? U' ' : c; });
  }

 private:
  static bool vanishes(char32_t c) {
    return (c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f ||
           c == 0x8f || c == 0x9f;
  }
  static bool is_blank(char32_t c) {
    return c == 0x9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
           (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xfeff || c == 0xfffd;
  }
};

}  // namespace

std::unique_ptr<Normalizer> make_nmt(const JsonNode&) {
  return std::make_unique<Nmt>();
}

}  // namespace tensormill
