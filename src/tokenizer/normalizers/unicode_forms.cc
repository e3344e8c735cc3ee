#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(NormalForm form) : form_(form) {}
  void apply(Normalized& text) const override { normalize(text, form_); }

 private:
  NormalForm form_;
};

}  // namespace

std::unique_ptr<Normalizer> make_nfc(const JsonNode&) {
  return std::make_unique<UnicodeForm>(NormalForm::kNfc);
}
std::unique_ptr<Normalizer> make_nfd(const JsonNode&) {
  return std::make_unique<UnicodeForm>(NormalForm::kNfd);
}
std::unique_ptr<Normalizer> make_nfkc(const JsonNode&) {
  return std::make_unique<UnicodeForm>(NormalForm::kNfkc);
}
std::unique_ptr<Normalizer> make_nfkd(const JsonNode&) {
  return std::make_unique<UnicodeForm>(NormalForm::kNfkd);
}

}  // namespace tensormill
