#include "tokenizer/models/model.h"
#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

// "cls": ["[CLS]", 101]
int32_t token(const JsonNode& node, const char* key) {
  const JsonNode pair = node.at(key);
  const auto items = pair.items();
  if (items.size() != 2) pair.fail("expected [token, id]");
  return static_cast<int32_t>(items[1].integer(0, kMaxTokenId));
}

}  // namespace

std::unique_ptr<Processor> make_bert_processing(const JsonNode& node) {
  return make_template({token(node, "cls")}, {token(node, "sep")});
}

}  // namespace tensormill
