#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/regex.h"

namespace tensormill {
namespace {

class Replace : public Normalizer {
 public:
  explicit Replace(const JsonNode& node)
      : pattern_(node.at("pattern")), content_(node.at("content").text()) {}

  void apply(Normalized& text) const override {
    ByteRanges matches;
    pattern_.find_all(text.text(), matches);
    text.replace(matches, content_);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<Normalizer> make_replace(const JsonNode& node) {
  return std::make_unique<Replace>(node);
}

}  // namespace tensormill
