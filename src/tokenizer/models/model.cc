#include "tokenizer/models/model.h"

#include "tokenizer/factory.h"

namespace tensormill {

std::unique_ptr<TokenModel> make_model(const JsonNode& node) {
  static constexpr Factory<TokenModel> kList[] = {
      {"BPE", make_bpe},
  };
  // Early files don't name the type; merges are what only BPE has.
  if (!node.find("type") && node.find("merges")) return make_bpe(node);
  return make_stage<TokenModel>(node, kList);
}

}  // namespace tensormill
