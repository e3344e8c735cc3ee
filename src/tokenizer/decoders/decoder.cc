#include "tokenizer/decoders/decoder.h"

#include "tokenizer/factory.h"

namespace tensormill {
namespace {

// Early files don't name the type.
std::unique_ptr<Decoder> make_untyped(const JsonNode& node) {
  const auto has = [&](const char* key) { return node.find(key).has_value(); };
  if (has("suffix")) return make_bpe_decoder(node);
  if (has("prefix") && has("cleanup")) return make_word_piece_decoder(node);
  if (has("pad_token") && has("word_delimiter_token")) return make_ctc(node);
  if (has("content") && has("start") && has("stop")) return make_strip_decoder(node);
  node.fail("\"type\" is missing, and the fields are those of no decoder");
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const JsonNode& node) {
  static constexpr Factory<Decoder> kList[] = {
      {"BPEDecoder", make_bpe_decoder},
      {"ByteFallback", make_byte_fallback},
      {"ByteLevel", make_byte_level_decoder},
      {"CTC", make_ctc},
      {"Fuse", make_fuse},
      {"Metaspace", make_metaspace_decoder},
      {"Replace", make_replace_decoder},
      {"Sequence", make_decoder_sequence},
      {"Strip", make_strip_decoder},
      {"WordPiece", make_word_piece_decoder},
  };
  if (!node.find("type")) return make_untyped(node);
  return make_stage<Decoder>(node, kList);
}

}  // namespace tensormill
