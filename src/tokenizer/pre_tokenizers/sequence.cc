#include <algorithm>

#include "tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace tensormill {
namespace {

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(const JsonNode& node) {
    for (const JsonNode& item : node.at("pretokenizers").items()) {
      parts_.push_back(make_pre_tokenizer(item));
    }
  }

  void apply(PreTokenized& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }
  bool needs_places() const override {
    return std::any_of(parts_.begin(), parts_.end(),
                       [](const auto& part) { return part->needs_places(); });
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer_sequence(const JsonNode& node) {
  return std::make_unique<Sequence>(node);
}

}  // namespace tensormill
