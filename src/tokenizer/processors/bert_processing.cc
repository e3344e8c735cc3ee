#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

// [CLS] A [SEP], and B [SEP] behind it for a pair.
class BertProcessing : public Processor {
 public:
  explicit BertProcessing(const JsonNode& node)
      : cls_(read_special_token(node.at("cls"))), sep_(read_special_token(node.at("sep"))) {}

  int64_t added(bool pair) const override { return pair ? 3 : 2; }

  void apply(std::vector<Encoding>& encodings, const EncodeRequest& request) const override {
    if (!request.add_special) return;
    for (size_t i = 0; i < encodings.size(); ++i) {
      surround(encodings[i], i == 0 ? cls_ : SpecialTokens{}, sep_, i == 0 ? 0 : 1,
               request.details);
    }
  }

 private:
  SpecialTokens cls_, sep_;
};

}  // namespace

std::unique_ptr<Processor> make_bert_processing(const JsonNode& node) {
  return std::make_unique<BertProcessing>(node);
}

}  // namespace tensormill
