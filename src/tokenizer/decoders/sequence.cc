#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

class Sequence : public Decoder {
 public:
  explicit Sequence(const JsonNode& node) {
    for (const JsonNode& item : node.at("decoders").items()) parts_.push_back(make_decoder(item));
  }
  void add_steps(DecodeSteps& steps) const override {
    for (const auto& part : parts_) part->add_steps(steps);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder_sequence(const JsonNode& node) {
  return std::make_unique<Sequence>(node);
}

}  // namespace tensormill
