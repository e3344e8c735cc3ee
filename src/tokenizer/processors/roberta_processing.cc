#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

// <s> A </s>, and </s> B </s> behind it for a pair; all type ids are 0.
class RobertaProcessing : public Processor {
 public:
  explicit RobertaProcessing(const JsonNode& node)
      : cls_(read_special_token(node.at("cls"))),
        sep_(read_special_token(node.at("sep"))),
        trim_(node.flag_or("trim_offsets", true)),
        add_prefix_space_(node.flag_or("add_prefix_space", true)) {}

  int64_t added(bool pair) const override { return pair ? 4 : 2; }

  void apply(std::vector<Encoding>& encodings, const EncodeRequest& request) const override {
    for (size_t i = 0; i < encodings.size(); ++i) {
      Encoding& encoding = encodings[i];
      if (trim_) trim_offsets(encoding, add_prefix_space_);
      encoding.type_ids.assign(encoding.ids.size(), 0);
      if (!request.add_special) continue;
      for (Encoding& piece : encoding.overflowing) piece.type_ids.assign(piece.ids.size(), 0);
      surround(encoding, i == 0 ? cls_ : sep_, sep_, 0, request.details);
    }
  }

 private:
  SpecialTokens cls_, sep_;
  bool trim_, add_prefix_space_;
};

}  // namespace

std::unique_ptr<Processor> make_roberta_processing(const JsonNode& node) {
  return std::make_unique<RobertaProcessing>(node);
}

}  // namespace tensormill
