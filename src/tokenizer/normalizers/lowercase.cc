#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

class Lowercase : public Normalizer {
 public:
  void apply(Normalized& text) const override { lowercase(text); }
};

}  // namespace

std::unique_ptr<Normalizer> make_lowercase(const JsonNode&) {
  return std::make_unique<Lowercase>();
}

}  // namespace tensormill
