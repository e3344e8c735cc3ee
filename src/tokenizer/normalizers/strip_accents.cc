#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

class StripAccents : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    text.filter([](char32_t c) { return !is_combining_mark(c); });
  }
};

}  // namespace

std::unique_ptr<Normalizer> make_strip_accents(const JsonNode&) {
  return std::make_unique<StripAccents>();
}

}  // namespace tensormill
