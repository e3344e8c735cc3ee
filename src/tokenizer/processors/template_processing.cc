#include <algorithm>

#include "base/error.h"
#include "tokenizer/models/model.h"
#include "tokenizer/processors/processor.h"

namespace tensormill {
namespace {

// One part of a template: a text, or special tokens.
struct Part {
  int text;  // 0: the first, 1: the second, -1: none
  int32_t type_id;
  SpecialTokens special;
};
using Parts = std::vector<Part>;

class TemplateProcessing : public Processor {
 public:
  TemplateProcessing(Parts single, Parts pair)
      : single_(std::move(single)), pair_(std::move(pair)) {}

  int64_t added(bool pair) const override {
    int64_t sum = 0;
    for (const Part& part : pair ? pair_ : single_) {
      sum += static_cast<int64_t>(part.special.ids.size());
    }
    return sum;
  }

  void apply(std::vector<Encoding>& encodings, const EncodeRequest& request) const override {
    if (encodings.size() > 2) {
      throw_error(ErrorKind::kUnsupported,
                  "post_processor: a template behind another one is not supported");
    }
    std::vector<Encoding> result;
    for (const Part& part : encodings.size() == 2 ? pair_ : single_) {
      if (part.text >= 0) {
        Encoding& encoding = result.emplace_back(encodings[static_cast<size_t>(part.text)]);
        encoding.type_ids.assign(encoding.ids.size(), part.type_id);
      } else if (request.add_special) {
        result.push_back(encoding_of(part.special, part.type_id, request.details));
      }
    }
    encodings = std::move(result);
  }

 private:
  Parts single_, pair_;
};

int32_t type_id_of(const JsonNode& node) {
  const auto given = node.find("type_id");
  return given ? static_cast<int32_t>(given->integer(0, INT32_MAX)) : 0;
}

Part read_part(const JsonNode& piece, const JsonNode& processor, bool pair) {
  if (const auto sequence = piece.find("Sequence")) {
    const JsonNode id = sequence->at("id");
    const std::string name = id.text();
    if (name != "A" && name != "B") id.fail("expected \"A\" or \"B\"");
    if (name == "B" && !pair) id.fail("expected \"A\": the template of one text knows no other");
    return {name == "A" ? 0 : 1, type_id_of(*sequence), {}};
  }
  const JsonNode given = piece.at("SpecialToken"), name = given.at("id");
  const JsonNode tokens = processor.at("special_tokens");
  const auto entry = tokens.find(name.text());
  if (!entry) name.fail("not among the special_tokens of the template");
  Part part{-1, type_id_of(given), {}};
  for (const JsonNode& id : entry->at("ids").items()) {
    part.special.ids.push_back(static_cast<int32_t>(id.integer(0, kMaxTokenId)));
  }
  const auto texts = entry->find("tokens");
  if (texts) {
    for (const JsonNode& text : texts->items()) part.special.texts.push_back(text.text());
  }
  return part;
}

Parts read_parts(const JsonNode& processor, const char* key) {
  Parts parts;
  for (const JsonNode& piece : processor.at(key).items()) {
    parts.push_back(read_part(piece, processor, key == std::string_view("pair")));
  }
  return parts;
}

}  // namespace

std::unique_ptr<Processor> make_template_processing(const JsonNode& node) {
  Parts single = read_parts(node, "single");
  // Files written by hand may leave it out.
  Parts pair = node.find("pair") ? read_parts(node, "pair") : Parts{{0, 0, {}}, {1, 1, {}}};
  return std::make_unique<TemplateProcessing>(std::move(single), std::move(pair));
}

std::unique_ptr<Processor> make_template(std::vector<int32_t> before, std::vector<int32_t> after) {
  Parts pair;
  for (const int32_t i : {0, 1}) {
    pair.push_back({-1, i, {before, {}}});
    pair.push_back({i, i, {}});
    pair.push_back({-1, i, {after, {}}});
  }
  Parts single(pair.begin(), pair.begin() + 3);
  return std::make_unique<TemplateProcessing>(std::move(single), std::move(pair));
}

}  // namespace tensormill
