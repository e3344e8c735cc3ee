#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// Blocks of ideographs that BERT takes for words of their own, with the reference's gap from
// U+2B820 to U+2B91F.
bool is_chinese(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

void put_spaces_around_chinese(Normalized& text) {
  const std::u32string before = code_points_of(text.text());
  std::vector<Change> changes;
  changes.reserve(before.size());
  for (const char32_t c : before) {
    if (is_chinese(c)) {
      changes.insert(changes.end(), {{U' ', 0}, {c, 1}, {U' ', 1}});
    } else {
      changes.push_back({c, 0});
    }
  }
  if (changes.size() != before.size()) text.transform(changes);
}

class BertNormalizer : public Normalizer {
 public:
  // Without "strip_accents" they are stripped where text is lowercased.
  explicit BertNormalizer(const JsonNode& node)
      : clean_(node.at("clean_text").flag()),
        chinese_(node.at("handle_chinese_chars").flag()),
        lowercase_(node.at("lowercase").flag()),
        strip_accents_(node.flag_or("strip_accents", lowercase_)) {}

  void apply(Normalized& text) const override {
    if (clean_) {
      text.filter([](char32_t c) { return c != 0 && !is_other(c); });
      text.map([](char32_t c) { return is_white_space(c) ? U' ' : c; });
    }
    if (chinese_) put_spaces_around_chinese(text);
    if (strip_accents_) {
      normalize(text, NormalForm::kNfd);
      text.filter([](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (lowercase_) lowercase(text);
  }

 private:
  bool clean_, chinese_, lowercase_, strip_accents_;
};

}  // namespace

std::unique_ptr<Normalizer> make_bert_normalizer(const JsonNode& node) {
  return std::make_unique<BertNormalizer>(node);
}

}  // namespace tensormill
