#include "tokenizer/normalizers/normalizer.h"

namespace tensormill {
namespace {

class Sequence : public Normalizer {
 public:
  explicit Sequence(const JsonNode& node) {
    for (const JsonNode& item : node.at("normalizers").items()) {
      parts_.push_back(make_normalizer(item));
    }
  }

  void apply(Normalized& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

}  // namespace

std::unique_ptr<Normalizer> make_normalizer_sequence(const JsonNode& node) {
  return std::make_unique<Sequence>(node);
}

}  // namespace tensormill
