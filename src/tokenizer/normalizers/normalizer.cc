#include "tokenizer/normalizers/normalizer.h"

#include "tokenizer/factory.h"

namespace tensormill {

std::unique_ptr<Normalizer> make_normalizer(const JsonNode& node) {
  static constexpr Factory<Normalizer> kList[] = {
      {"BertNormalizer", make_bert_normalizer},
      {"ByteLevel", make_byte_level_normalizer},
      {"Lowercase", make_lowercase},
      {"NFC", make_nfc},
      {"NFD", make_nfd},
      {"NFKC", make_nfkc},
      {"NFKD", make_nfkd},
      {"Nmt", make_nmt},
      {"Precompiled", make_precompiled},
      {"Prepend", make_prepend},
      {"Replace", make_replace},
      {"Sequence", make_normalizer_sequence},
      {"Strip", make_strip},
      {"StripAccents", make_strip_accents},
  };
  return make_stage<Normalizer>(node, kList);
}

}  // namespace tensormill
