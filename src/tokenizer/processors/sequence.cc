#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

class Sequence : public Processor {
 public:
  explicit Sequence(const JsonNode& node) {
    for (const JsonNode& item : node.at("processors").items()) {
      parts_.push_back(make_processor(item));
    }
  }

  void apply(TokenList& tokens, bool add_special) const override {
    for (const auto& part : parts_) part->apply(tokens, add_special);
  }

 private:
  std::vector<std::unique_ptr<Processor>> parts_;
};

}  // namespace

std::unique_ptr<Processor> make_processor_sequence(const JsonNode& node) {
  return std::make_unique<Sequence>(node);
}

}  // namespace tensormill
