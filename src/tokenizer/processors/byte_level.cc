#include <algorithm>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/normalized.h"
#include "tokenizer/processors/processor.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

constexpr char32_t kSpaceCharacter = 0x120;  // of the byte alphabet

class ByteLevel : public Processor {
 public:
  ByteLevel(bool add_prefix_space, bool trim) : add_prefix_space_(add_prefix_space), trim_(trim) {}

  void apply(TokenList& tokens, bool) const override {
    if (trim_) trim_offsets(tokens, add_prefix_space_);
  }

 private:
  bool add_prefix_space_, trim_;
};

}  // namespace

void trim_offsets(TokenList& tokens, bool add_prefix_space) {
  const auto blank = [](char32_t c) { return c == kSpaceCharacter || is_white_space(c); };
  for (size_t i = 0; i < tokens.texts.size(); ++i) {
    auto& [begin, end] = tokens.encoding.offsets[i];
    const std::u32string text = code_points_of(tokens.texts[i]);
    auto leading =
        static_cast<int32_t>(std::find_if_not(text.begin(), text.end(), blank) - text.begin());
    const auto trailing =
        static_cast<int32_t>(std::find_if_not(text.rbegin(), text.rend(), blank) - text.rbegin());
    if (leading > 0) {
      const bool first = i == 0 || begin == 0;
      if (first && add_prefix_space && leading == 1) leading = 0;
      begin = std::min(begin + leading, end);
    }
    if (trailing > 0 && end >= trailing) end = std::max(end - trailing, begin);
  }
}

std::unique_ptr<Processor> make_byte_level_processor(const JsonNode& node) {
  return std::make_unique<ByteLevel>(node.at("add_prefix_space").flag(),
                                     node.at("trim_offsets").flag());
}

}  // namespace tensormill
