#include "tokenizer/models/model.h"
#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

// One part of a template: the text, or special tokens.
struct Part {
  bool text;
  std::vector<int32_t> ids;
};

class TemplateProcessing : public Processor {
 public:
  explicit TemplateProcessing(std::vector<Part> parts) : parts_(std::move(parts)) {}

  void apply(TokenList& tokens, bool add_special) const override {
    TokenList result;
    auto& [ids, offsets] = result.encoding;
    const Encoding& given = tokens.encoding;
    for (const Part& part : parts_) {
      if (part.text) {
        ids.insert(ids.end(), given.ids.begin(), given.ids.end());
        offsets.insert(offsets.end(), given.offsets.begin(), given.offsets.end());
        result.texts.insert(result.texts.end(), tokens.texts.begin(), tokens.texts.end());
      } else if (add_special) {
        ids.insert(ids.end(), part.ids.begin(), part.ids.end());
        offsets.resize(ids.size(), {0, 0});
        result.texts.resize(ids.size());
      }
    }
    tokens = std::move(result);
  }

 private:
  std::vector<Part> parts_;
};

Part read_part(const JsonNode& piece, const JsonNode& processor) {
  if (const auto sequence = piece.find("Sequence")) {
    const JsonNode id = sequence->at("id");
    if (id.text() != "A") id.fail("expected \"A\": the template of one text knows no other");
    return {true, {}};
  }
  const JsonNode special = piece.at("SpecialToken").at("id");
  Part part{false, {}};
  const JsonNode tokens = processor.at("special_tokens");
  const auto entry = tokens.find(special.text());
  if (!entry) special.fail("not among the special_tokens of the template");
  for (const JsonNode& id : entry->at("ids").items()) {
    part.ids.push_back(static_cast<int32_t>(id.integer(0, kMaxTokenId)));
  }
  return part;
}

}  // namespace

std::unique_ptr<Processor> make_template_processing(const JsonNode& node) {
  std::vector<Part> parts;
  for (const JsonNode& piece : node.at("single").items()) parts.push_back(read_part(piece, node));
  return std::make_unique<TemplateProcessing>(std::move(parts));
}

std::unique_ptr<Processor> make_template(std::vector<int32_t> before, std::vector<int32_t> after) {
  std::vector<Part> parts;
  parts.push_back({false, std::move(before)});
  parts.push_back({true, {}});
  parts.push_back({false, std::move(after)});
  return std::make_unique<TemplateProcessing>(std::move(parts));
}

}  // namespace tensormill
