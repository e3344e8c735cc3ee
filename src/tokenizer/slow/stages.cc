#include "tokenizer/slow/stages.h"

namespace tensormill {

Json byte_level_json(bool add_prefix_space, bool use_regex, bool trim_offsets) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", trim_offsets},
          {"use_regex", use_regex}};
}

Json replace_json(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

Json replace_regex_json(std::string_view pattern, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"Regex", pattern}}}, {"content", to}};
}

Json split_json(std::string_view pattern, std::string_view behavior, bool invert) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", behavior},
          {"invert", invert}};
}

Json sequence_json(std::string_view parts, Json list) {
  return {{"type", "Sequence"}, {parts, std::move(list)}};
}

Json metaspace_json(std::string_view scheme, bool split) {
  return {{"type", "Metaspace"},
          {"replacement", "\u2581"},
          {"prepend_scheme", scheme},
          {"split", split}};
}

Json bert_normalizer_json(bool chinese, Json strip_accents, bool lowercase, bool clean) {
  return {{"type", "BertNormalizer"},
          {"clean_text", clean},
          {"handle_chinese_chars", chinese},
          {"strip_accents", std::move(strip_accents)},
          {"lowercase", lowercase}};
}

Json template_json(const Words& single, const Words& pair, const IdOf& id_of) {
  Json special = Json::object();
  const auto part = [&](const Words& words) {
    Json list = Json::array();
    for (const std::string& given : words) {
      std::string word = given;
      int type = 0;
      if (word.size() > 2 && word[word.size() - 2] == ':' && word.back() >= '0' &&
          word.back() <= '9') {
        type = word.back() - '0';
        word.resize(word.size() - 2);
      }
      if (word == "$A" || word == "$B") {
        list.push_back({{"Sequence", {{"id", word.substr(1)}, {"type_id", type}}}});
        continue;
      }
      list.push_back({{"SpecialToken", {{"id", word}, {"type_id", type}}}});
      special[word] = {
          {"id", word}, {"ids", Json::array({id_of(word)})}, {"tokens", Json::array({word})}};
    }
    return list;
  };
  Json first = part(single), both = part(pair);
  return {{"type", "TemplateProcessing"},
          {"single", std::move(first)},
          {"pair", std::move(both)},
          {"special_tokens", std::move(special)}};
}

Json pair_processing_json(std::string_view type, const std::string& cls, const std::string& sep,
                          const IdOf& id_of) {
  return {{"type", type},
          {"cls", Json::array({cls, id_of(cls)})},
          {"sep", Json::array({sep, id_of(sep)})}};
}

}  // namespace tensormill
