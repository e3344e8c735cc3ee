#include "tokenizer/decoders/decoder.h"

#include "tokenizer/factory.h"

namespace tensormill {

std::unique_ptr<Decoder> make_decoder(const JsonNode& node) {
  static constexpr Factory<Decoder> kList[] = {
      {"ByteFallback", make_byte_fallback},
      {"ByteLevel", make_byte_level_decoder},
      {"Fuse", make_fuse},
      {"Metaspace", make_metaspace_decoder},
      {"Replace", make_replace_decoder},
      {"Sequence", make_decoder_sequence},
      {"Strip", make_strip_decoder},
  };
  return make_stage<Decoder>(node, kList);
}

}  // namespace tensormill
