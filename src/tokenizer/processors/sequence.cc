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

  int64_t added(bool pair) const override {
    int64_t sum = 0;
    for (const auto& part : parts_) sum += part->added(pair);
    return sum;
  }

  void apply(std::vector<Encoding>& encodings, const EncodeRequest& request) const override {
    for (const auto& part : parts_) part->apply(encodings, request);
  }

 private:
  std::vector<std::unique_ptr<Processor>> parts_;
};

}  // namespace

std::unique_ptr<Processor> make_processor_sequence(const JsonNode& node) {
  return std::make_unique<Sequence>(node);
}

}  // namespace tensormill
