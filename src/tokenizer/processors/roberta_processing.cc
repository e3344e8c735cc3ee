#include "tokenizer/models/model.h"
#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

class RobertaProcessing : public Processor {
 public:
  explicit RobertaProcessing(const JsonNode& node)
      : template_(make_template({token(node, "cls")}, {token(node, "sep")})),
        trim_(node.flag_or("trim_offsets", true)),
        add_prefix_space_(node.flag_or("add_prefix_space", true)) {}

  void apply(TokenList& tokens, bool add_special) const override {
    if (trim_) trim_offsets(tokens, add_prefix_space_);
    template_->apply(tokens, add_special);
  }

 private:
  // "cls": ["<s>", 0]
  static int32_t token(const JsonNode& node, const char* key) {
    const JsonNode pair = node.at(key);
    const auto items = pair.items();
    if (items.size() != 2) pair.fail("expected [token, id]");
    return static_cast<int32_t>(items[1].integer(0, kMaxTokenId));
  }

  std::unique_ptr<Processor> template_;
  bool trim_, add_prefix_space_;
};

}  // namespace

std::unique_ptr<Processor> make_roberta_processing(const JsonNode& node) {
  return std::make_unique<RobertaProcessing>(node);
}

}  // namespace tensormill
