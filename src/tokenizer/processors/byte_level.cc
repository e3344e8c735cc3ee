#include <algorithm>

#include "tokenizer/normalized.h"
#include "tokenizer/processors/processor.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

constexpr char32_t kSpaceCharacter = 0x120;  // of the byte alphabet

class ByteLevel : public Processor {
 public:
  ByteLevel(bool add_prefix_space, bool trim) : add_prefix_space_(add_prefix_space), trim_(trim) {}

  int64_t added(bool) const override { return 0; }

  void apply(std::vector<Encoding>& encodings, const EncodeRequest&) const override {
    if (!trim_) return;
    for (Encoding& encoding : encodings) trim_offsets(encoding, add_prefix_space_);
  }

 private:
  bool add_prefix_space_, trim_;
};

void trim_own(Encoding& encoding, bool add_prefix_space) {
  const auto blank = [](char32_t c) { return c == kSpaceCharacter || is_white_space(c); };
  for (size_t i = 0; i < encoding.tokens.size(); ++i) {
    auto& [begin, end] = encoding.offsets[i];
    const std::u32string text = code_points_of(encoding.tokens[i]);
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

}  // namespace

void trim_offsets(Encoding& encoding, bool add_prefix_space) {
  trim_own(encoding, add_prefix_space);
  for (Encoding& piece : encoding.overflowing) trim_own(piece, add_prefix_space);
}

std::unique_ptr<Processor> make_byte_level_processor(const JsonNode& node) {
  return std::make_unique<ByteLevel>(node.at("add_prefix_space").flag(),
                                     node.at("trim_offsets").flag());
}

}  // namespace tensormill
