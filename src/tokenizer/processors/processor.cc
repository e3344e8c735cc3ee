#include "tokenizer/processors/processor.h"

#include "tokenizer/factory.h"
#include "tokenizer/models/model.h"

namespace tensormill {

std::unique_ptr<Processor> make_processor(const JsonNode& node) {
  static constexpr Factory<Processor> kList[] = {
      {"BertProcessing", make_bert_processing},         {"ByteLevel", make_byte_level_processor},
      {"RobertaProcessing", make_roberta_processing},   {"Sequence", make_processor_sequence},
      {"TemplateProcessing", make_template_processing},
  };
  return make_stage<Processor>(node, kList);
}

SpecialTokens read_special_token(const JsonNode& node) {
  const auto items = node.items();
  if (items.size() != 2) node.fail("expected [token, id]");
  return {{static_cast<int32_t>(items[1].integer(0, kMaxTokenId))}, {items[0].text()}};
}

Encoding encoding_of(const SpecialTokens& tokens, int32_t type_id, bool details) {
  const size_t count = tokens.ids.size();
  Encoding encoding;
  encoding.ids = tokens.ids;
  encoding.type_ids.assign(count, type_id);
  if (!details) return encoding;
  encoding.tokens = tokens.texts;
  encoding.tokens.resize(count);
  encoding.offsets.assign(count, {0, 0});
  encoding.words.assign(count, -1);
  encoding.sequences.assign(count, -1);
  encoding.special.assign(count, 1);
  return encoding;
}

void surround(Encoding& encoding, const SpecialTokens& before, const SpecialTokens& after,
              int32_t type_id, bool details) {
  const auto around = [&](Encoding&& inside) {
    Encoding whole = encoding_of(before, type_id, details);
    append_encoding(whole, std::move(inside));
    append_encoding(whole, encoding_of(after, type_id, details));
    return whole;
  };
  std::vector<Encoding> overflowing = std::move(encoding.overflowing);
  encoding.overflowing.clear();
  encoding = around(std::move(encoding));
  for (Encoding& piece : overflowing) encoding.overflowing.push_back(around(std::move(piece)));
}

}  // namespace tensormill
